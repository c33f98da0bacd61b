#!/bin/sh
# mmdebstrap's customize hook: $1 is the root of the new file system.
set -eu
root=$1
here=$(dirname "$0")
common=$here/../common
. "$common/customize.sh"

make_user
copy_files "$here/files"
remove_identities

mask_idle_units
# Units that wait for hardware, consoles or the network of a machine that docker already set up.
chroot "$root" systemctl mask --quiet \
    getty.target console-getty.service serial-getty@.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket \
    systemd-udevd-kernel.socket systemd-modules-load.service systemd-sysctl.service \
    systemd-remount-fs.service systemd-networkd.service
remove_leavings
