"""Cost tables and the searches over them."""
