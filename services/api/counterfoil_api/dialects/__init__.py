"""Vendors' token APIs over the one ledger: a module or small package a vendor, each translates and decides nothing."""
