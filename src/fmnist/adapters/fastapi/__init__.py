"""The HTTP application, as ASGI: the platform contract's routes and the Open Inference Protocol over one `Serving`.

It knows nothing of who runs it or of where models come from, and implements no port: `create_app` is what there is.
"""
