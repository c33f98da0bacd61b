"""The way into machines: paramiko for our own, OpenSSH for those of other people."""
