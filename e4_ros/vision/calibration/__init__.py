"""Thresholds with a promise, from footage without labels."""
