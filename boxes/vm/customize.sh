#!/bin/sh
# mmdebstrap's customize hook: $1 is the root of the new file system.
set -eu
root=$1
here=$(dirname "$0")
common=$here/../common
. "$common/customize.sh"

make_user
rm -f "$root/etc/resolv.conf"
copy_files "$here/files"
# Vagrant gets in with the key that all the world knows, and replaces it at first boot.
install -d --owner=1000 --group=1000 --mode=0700 "$root/home/vagrant/.ssh"
install --owner=1000 --group=1000 --mode=0600 "$here/insecure.pub" \
    "$root/home/vagrant/.ssh/authorized_keys"
remove_identities

mask_idle_units
# modprobe@: systemd loads five modules in case a unit wants them; k0s loads what it wants itself.
# The rest waits for devices that a virtual machine does not have.
chroot "$root" systemctl mask --quiet \
    modprobe@.service systemd-network-generator.service systemd-pstore.service \
    systemd-binfmt.service proc-sys-fs-binfmt_misc.automount \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service
chroot "$root" systemctl enable --quiet systemd-networkd.service machine-host-key.service

# The same initramfs as the kernel's installation made, without the times and inodes of this host.
# shellcheck disable=SC2016  # the new system's shell expands it
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0} chroot "$root" sh -eu -c '
    for image in /boot/initrd.img-*; do
        mkdir /tmp/initramfs
        cd /tmp/initramfs
        gzip --decompress --stdout "$image" | cpio --extract --quiet
        find . -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
        find . ! -name . -print0 | sort --zero-terminated |
            cpio --null --create --quiet --format=newc --owner=0:0 --reproducible |
            gzip --no-name -9 >"$image"
    done'

remove_leavings
# Nothing is to be brought up to date at first boot: users, catalogues and caches are as they
# should be. systemd compares these files' times with that of /usr.
touch --reference="$root/usr" "$root/etc/.updated" "$root/var/.updated"
