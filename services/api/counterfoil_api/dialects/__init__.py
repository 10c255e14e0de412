"""Vendors' token APIs: one module or small package a vendor. They translate; the ledger decides."""
