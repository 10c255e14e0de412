"""Passwords for tests: hashed as ever, at the least cost, where the real one is a third of a second of two cores."""

from functools import partialmethod

from argon2 import PasswordHasher


def hash_quickly() -> None:
    """Let what this process hashes from now on cost next to nothing; tests/dev/test_up.py looks at the real cost."""
    quick = partialmethod(PasswordHasher.__init__, time_cost=1, memory_cost=8, parallelism=1)
    setattr(PasswordHasher, "__init__", quick)  # noqa: B010 - a method is not assigned to
