"""Subscriptions: events of tokens are sent to webhooks."""
