"""Joules and watts: rails, counters, and the model where nothing measures."""
