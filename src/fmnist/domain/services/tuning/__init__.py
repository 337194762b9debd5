"""A search for a better recipe, and the comparison of what it found."""
