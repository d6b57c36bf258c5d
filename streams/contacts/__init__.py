"""Splitting an address book into entries that name nobody. Pure."""
