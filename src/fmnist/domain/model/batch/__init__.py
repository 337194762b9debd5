"""Values of a batch prediction: answered rows, and the manifest of an output."""
