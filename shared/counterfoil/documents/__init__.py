"""The documents that the API sends and receives, and that the client shares."""
