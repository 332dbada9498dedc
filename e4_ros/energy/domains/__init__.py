"""Clocks that can be pinned and given back, one module for each kind of the kernel's."""
