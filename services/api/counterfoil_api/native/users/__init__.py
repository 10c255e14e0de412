"""Users: who may log in, and what becomes of them."""
