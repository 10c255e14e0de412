"""What services do with the ledger: each module is a few functions over the door and the stores."""
