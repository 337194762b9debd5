"""File locks, so that only one promotion, and one process for each run, works on a machine."""
