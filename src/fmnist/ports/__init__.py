"""What the services need from outside, one protocol per file. Ports use domain values, never a vendor's types."""
