"""A model that answers while others come and go."""
