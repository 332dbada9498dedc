"""One module for each `e4` command."""
