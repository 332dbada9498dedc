"""The parameters of each node: one module a node, one entry a parameter."""
