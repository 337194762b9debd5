"""Ray: `Compute` and serving, on an existing cluster or on one that is started on this machine."""
