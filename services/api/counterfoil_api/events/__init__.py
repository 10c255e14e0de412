"""The event log as it is streamed: feeds that streams share, and the callers that they hold."""
