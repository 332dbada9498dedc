"""Replays, scores, draws: the offline path, without ROS."""
