"""Signing keys and peppers at work: made, sealed, moved on by time, and held against what the database knows."""
