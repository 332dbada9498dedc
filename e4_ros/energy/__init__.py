"""Frequency domains, boards, meters, plans and leases. Knows neither ROS nor torch."""
