"""The account: its policy, its catalogue of scopes, further accounts, quotas, and the lists of reads and attempts."""
