"""The whole service on one machine: real Postgres, Valkey, API, worker and sealer under one supervisor."""
