"""One at a time on a machine: what the promotion services are given as their lock."""
