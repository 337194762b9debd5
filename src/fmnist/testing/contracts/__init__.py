"""One suite of tests a port. A test module subclasses it and supplies the fixtures that raise `NotImplementedError`."""
