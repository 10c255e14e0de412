"""What keeps one caller from being everybody's trouble: counters, quotas, lock-outs, and what was tried in vain."""
