"""A search for a better recipe: what it tries, what came out, and whether that is more than noise."""
