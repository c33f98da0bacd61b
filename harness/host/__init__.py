"""This host: what it has and lacks for a lab, and its set-up. Standard library only."""
