"""The token: its commands, its state, and the decisions about it."""
