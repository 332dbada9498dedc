"""The offline teacher: the same network, asked slowly."""
