"""Stages, exits, cascade and runtimes. Knows tensors; knows neither ROS nor sysfs."""
