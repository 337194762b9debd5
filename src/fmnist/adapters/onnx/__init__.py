"""ONNX: a network written as a graph without code (`export`), and answering without torch (`classifier`)."""
