"""The way of a model to the champion, and back."""
