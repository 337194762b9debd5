"""ONNX: `export` writes a network as a graph without code, and `classifier` runs it without torch."""
