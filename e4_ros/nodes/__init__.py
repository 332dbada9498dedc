"""ROS adapters: the only place that imports rclpy."""
