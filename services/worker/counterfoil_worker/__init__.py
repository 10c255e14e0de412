"""Dramatiq workers: Redis wakes them, and they find in Postgres what is due."""
