"""The search for hertz."""
