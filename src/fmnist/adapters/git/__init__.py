"""Git commands, and `DesiredState` in a Git repository that a cluster follows."""
