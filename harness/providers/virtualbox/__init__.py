"""Machines that are VMs of VirtualBox."""
