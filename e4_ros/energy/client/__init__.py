"""The other end of the daemon: what a process says to it and reads from it."""
