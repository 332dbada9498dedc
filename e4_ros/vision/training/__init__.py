"""Exits from footage without labels."""
