"""Expectations, hold windows, verdicts."""
