"""Hashes passwords of tests at the least cost; the real cost is a third of a second of two cores."""

from functools import partialmethod

from argon2 import PasswordHasher


def hash_quickly() -> None:
    """Make hashing cheap in this process; tests/dev/test_up.py checks the real cost."""
    quick = partialmethod(PasswordHasher.__init__, time_cost=1, memory_cost=8, parallelism=1)
    setattr(PasswordHasher, "__init__", quick)  # noqa: B010 - a method is not assigned to
