"""In-memory adapters of all ports, in plain Python and numpy. They are public: other packages can test with them."""
