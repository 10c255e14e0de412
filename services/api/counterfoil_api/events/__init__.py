"""Live streams of the event log: the feeds that they share, and the callers that they serve."""
