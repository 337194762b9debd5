"""One test suite per port. A test module subclasses it and supplies the fixtures that raise `NotImplementedError`."""
