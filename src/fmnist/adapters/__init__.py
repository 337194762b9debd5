"""What the ports look like on real technology, one folder a technology. Only here may a vendor be imported."""
