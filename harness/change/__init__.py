"""Changes: what to run for each kind, how it is seen to have taken effect, and its undo."""
