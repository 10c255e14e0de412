"""Dramatiq workers: messages in Redis wake them, and they read from Postgres what is due."""
