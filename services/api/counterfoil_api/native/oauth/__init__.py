"""The endpoints that OAuth clients know."""
