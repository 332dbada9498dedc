"""Labelled clips: datasets of videos as they are published, and one that is generated."""
