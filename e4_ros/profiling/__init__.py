"""Cost tables and the searches that choose hertz."""
