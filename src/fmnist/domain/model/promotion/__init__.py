"""Which model serves: policy, decisions and their records."""
