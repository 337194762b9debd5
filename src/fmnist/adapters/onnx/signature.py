"""What the graph's input and output are called: what `export` writes and `classifier` asks for."""

INPUT = "images"
OUTPUT = "logits"
