#!/bin/sh
# mmdebstrap's essential hook: $1 is the root of the new file system, before the kernel comes.
set -eu

# The kernel's installation makes the initramfs, and reads this.
install -D --mode=0644 "$(dirname "$0")/files/etc/tiny-initramfs/tiny-initramfs.conf" \
    "$1/etc/tiny-initramfs/tiny-initramfs.conf"
