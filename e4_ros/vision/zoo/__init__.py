"""Networks with real weights, by name."""
