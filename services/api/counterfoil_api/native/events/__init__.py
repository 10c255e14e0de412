"""The sealed log over HTTP: all that happened in an account, in one order, from any position on."""
