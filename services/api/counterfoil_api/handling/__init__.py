"""What the handlers of our own API and of dialects have in common: issue, change, answer once, show names."""
