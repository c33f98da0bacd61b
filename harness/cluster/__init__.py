"""k0s on a lab: k0sctl, kubectl, changes."""
