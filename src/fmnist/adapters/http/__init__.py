"""httpx: asks HTTP services. It implements no port, but `Ask` of the domain's `endpoint`."""
