"""Git: its commands, and `DesiredState` in a repository that a cluster follows."""
