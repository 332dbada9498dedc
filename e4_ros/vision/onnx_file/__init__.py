"""A detector that somebody brings as an ONNX file: read, understood, made ready to be cut."""
