"""What other packages test with: the in-memory adapters, and the contract suites that every adapter passes."""
