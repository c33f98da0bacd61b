"""Machines that are VMs of a libvirt, here or on another host."""
