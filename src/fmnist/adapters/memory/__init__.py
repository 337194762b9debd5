"""The four ports in plain Python and numpy: public, for tests of the services that use them and of other packages."""
