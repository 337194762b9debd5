"""One dependency-injector container per app, and the only place that imports an adapter."""
