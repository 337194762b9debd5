"""httpx: asks HTTP services. It implements no port: `service` is the client of our own."""
