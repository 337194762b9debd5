"""HTTP clients, with httpx. They implement no port. `service` is the client of our own service."""
