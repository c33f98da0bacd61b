"""Machines that are containers of this host's docker engine."""
