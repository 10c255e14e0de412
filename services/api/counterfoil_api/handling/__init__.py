"""What the handlers of the native API and of dialects share: reading, writing, issuing, names of actors."""
