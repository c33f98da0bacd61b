"""What a run looked like: terminal, JSON, JUnit properties."""
