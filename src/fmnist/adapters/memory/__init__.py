"""In-memory adapters of all ports, in plain Python and numpy. They are public, so that other packages can test with them."""
