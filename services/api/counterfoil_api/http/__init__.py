"""How HTTP arrives and leaves: connections, limits of size and time, addresses, TLS, and every answer's form."""
