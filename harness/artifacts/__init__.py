"""Pinned k0s, k0sctl, kubectl and image bundle: find, fetch, verify, cache."""
