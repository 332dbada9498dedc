"""Pictures and tensors. Knows neither ROS nor hertz."""
