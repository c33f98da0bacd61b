"""Runs a plan phase by phase and yields events."""
