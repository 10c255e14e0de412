"""Tokens: issue, import, list, read, change and revoke them, and exchange their secrets for bearers."""
