"""Machines of one run: Vagrant, SSH, isolation, locks, leftovers."""
