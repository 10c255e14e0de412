"""The sealed log over HTTP: every event of an account, in one order, from any position on."""
