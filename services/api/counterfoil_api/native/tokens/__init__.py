"""Tokens: issue, import, look at, change and end them, and the bearers that they buy."""
