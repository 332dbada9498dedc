"""What `e4 bench` measures: one module for each benchmark, each writing one JSON."""
