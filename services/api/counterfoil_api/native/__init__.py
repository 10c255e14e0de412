"""Counterfoil's own API, under /v1, /oauth and /.well-known."""
