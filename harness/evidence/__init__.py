"""Readings, their recording, redaction and replay."""
