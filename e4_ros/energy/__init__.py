"""Hertz and joules. Knows neither ROS nor tensors."""
