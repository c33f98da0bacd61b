"""Readings, how they are recorded, packed and read again, and what is redacted in them."""
