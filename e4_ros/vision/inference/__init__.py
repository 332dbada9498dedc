"""What runs for each frame: numpy, OpenCV, ONNX Runtime; never torch."""
