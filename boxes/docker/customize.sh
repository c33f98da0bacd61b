#!/bin/sh
# mmdebstrap's customize hook: $1 is the root of the new file system.
set -eu
root=$1
here=$(dirname "$0")

chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 vagrant
cp -r --no-preserve=ownership "$here/files/." "$root/"
chown -R root:root "$root/etc/ssh" "$root/etc/sudoers.d" "$root/usr/local/sbin"
chmod 0755 "$root/usr/local/sbin/machine-init"
chmod 0440 "$root/etc/sudoers.d/vagrant"

# Identities are made at first boot, one per machine.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"

# Units that wait for hardware, consoles or the network of a machine that docker already set up.
chroot "$root" systemctl mask --quiet \
    getty.target console-getty.service getty@.service serial-getty@.service \
    systemd-udevd.service systemd-udev-trigger.service systemd-udevd-control.socket \
    systemd-udevd-kernel.socket systemd-modules-load.service systemd-sysctl.service \
    sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
    sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount \
    systemd-remount-fs.service systemd-logind.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer systemd-timesyncd.service systemd-networkd.service systemd-resolved.service
chroot "$root" systemctl set-default --quiet multi-user.target
chroot "$root" systemctl enable --quiet ssh.service

rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* "$root"/tmp/*
mkdir -p "$root/var/log/journal"
