"""Keeps one caller from slowing down the others: counters, quotas, login delays, and failed attempts."""
