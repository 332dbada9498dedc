"""Which processes run together: one table for `ros2 launch` and for `e4 up`."""
