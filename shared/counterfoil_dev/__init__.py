"""The whole service on one machine: real Postgres, Valkey, API and worker under one supervisor."""
