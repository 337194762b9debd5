"""Jinja: the report on a model as a page. It implements no port: it is the `RenderReport` that services are given."""
