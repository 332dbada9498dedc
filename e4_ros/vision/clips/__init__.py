"""Clip mode: one answer for a whole clip, after as few of its frames as it needs."""
