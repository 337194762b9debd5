"""Ray: `Compute` on a cluster, be it one that is started on this machine for the occasion or one that is there."""
