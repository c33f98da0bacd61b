"""k0s on machines: k0sctl, kubectl, what takes readings, and clusters of other people."""
