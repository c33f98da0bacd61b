"""What machines are made with, a folder each; `harness.providers.registry` has them by name."""
