"""HTTP: connections, limits of size and time, addresses, TLS, problem documents and security headers."""
