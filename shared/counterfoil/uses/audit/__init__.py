"""Audits: what they count, and the one over HTTP, which takes no database."""
