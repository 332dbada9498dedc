"""Boards that are not here, as a tree of files or a mounted file system with the kernel's rules."""
