"""The torch modules that are trained: heads, gates, the temporal network."""
