"""Sources, metrics, reports: the offline path, without ROS."""
