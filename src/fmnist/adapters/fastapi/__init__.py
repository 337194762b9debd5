"""The HTTP application (ASGI): the routes of the platform contract and the Open Inference Protocol, over one `Serving`.

It does not depend on the server that runs it or on the source of models. It implements no port; use `create_app`.
"""
