"""What comes before a network, and after it."""
