"""What the services ask of the outside, one protocol a file. Ports speak domain values, never a vendor's."""
