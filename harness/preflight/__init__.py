"""Whether this host can carry a lab: which provider, what is missing, and its set-up."""
