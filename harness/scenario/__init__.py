"""Scenario files: the strict model, loading with line numbers, the JSON Schema."""
