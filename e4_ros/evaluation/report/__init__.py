"""Pages, pictures and files that a run leaves."""
