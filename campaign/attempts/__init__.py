"""Attempts at calculations: the ledger, their failures, and how the next attempt differs."""
