"""Homes as each earlier version of the schema left them, as SQL."""
