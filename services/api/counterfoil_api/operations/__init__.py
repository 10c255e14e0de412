"""Typed handlers: what is read from a request, what is answered, and the document that describes both."""
