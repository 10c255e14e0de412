"""The account: its policy, its catalogue of scopes, further accounts, and who has read what."""
