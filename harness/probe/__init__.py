"""One module per family of facts: what to run where, and raw text to value."""
