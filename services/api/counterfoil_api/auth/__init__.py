"""Authentication of callers: credentials, passwords, one-time codes, and the JWTs of other issuers."""
