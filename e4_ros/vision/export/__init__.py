"""What torch leaves behind: networks cut into stages, costed, and written as ONNX."""
