"""What a training run is given, and what it comes to."""
