"""Users: their accounts, roles, passwords and logins."""
