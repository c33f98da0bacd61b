#!/bin/sh
# unpack-images.sh BUNDLE STORE WORK: unpacks an image bundle into STORE, as k0s's containerd keeps
# images (namespace k8s.io, snapshots for overlayfs). WORK is for files on the way.
set -eu
bundle=$1 store=$2 work=$3

mkdir -p "$work/root"
# A socket's path has 108 bytes at most, and WORK may be deep.
socket=$(mktemp --directory)
trap 'kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; rm -rf "$socket"' EXIT
cat >"$work/config.toml" <<CONFIG
version = 2
root = "$work/root"
state = "$work/state"
disabled_plugins = [
    "io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.native", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
address = "$socket/containerd"
CONFIG
containerd --config "$work/config.toml" --log-level warn >&2 &
daemon=$!

ask() {
    ctr --address "$socket/containerd" --namespace k8s.io "$@"
}
# 0.3 s measured; a busy host needs seconds.
tries=100
until ask version >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" = 0 ] || ! kill -0 "$daemon" 2>/dev/null; then
        echo "containerd does not answer" >&2
        exit 1
    fi
    sleep 0.2
done

ask images import --snapshotter overlayfs "$bundle"
# Known to containerd's CRI plugin from its start, and left alone when the kubelet makes room.
ask images list --quiet | while read -r image; do
    ask images label "$image" io.cri-containerd.image=managed io.cri-containerd.pinned=pinned
done >/dev/null
kill "$daemon"
wait "$daemon" 2>/dev/null || true

for part in content.v1.content metadata.v1.bolt snapshotter.v1.overlayfs; do
    mv "$work/root/io.containerd.$part" "$store/"
done
chmod 0711 "$store"
rm -rf "$work"
