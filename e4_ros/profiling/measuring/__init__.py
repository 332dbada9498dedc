"""Watts and seconds of this machine, cell by cell."""
