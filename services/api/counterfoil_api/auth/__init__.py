"""Who is asking: credentials, passwords, one-time codes, bearers and the keys behind them."""
