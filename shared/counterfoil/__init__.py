"""Counterfoil: an event-sourced ledger of API tokens."""
