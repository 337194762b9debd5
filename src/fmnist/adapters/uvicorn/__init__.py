"""uvicorn: `host` serves the HTTP application in this process, and `protocol` bounds the headers of a request."""
