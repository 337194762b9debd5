"""Names of the graph's input and output, which `export` writes and `classifier` expects."""

INPUT = "images"
OUTPUT = "logits"
