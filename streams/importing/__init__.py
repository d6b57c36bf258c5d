"""Bringing in lists that others keep: consents and suppressions from CSV files, as BULK_IMPORT."""
