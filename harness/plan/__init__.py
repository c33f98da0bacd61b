"""What a scenario will build, as values: machines, k0sctl.yaml, artifacts, phases."""
