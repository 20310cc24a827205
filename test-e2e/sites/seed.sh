#!/bin/bash
# seed.sh make FOLDER: runs a containerd on FOLDER/containerd, to be filled with images.
# seed.sh copy FOLDER TARGET: a containerd folder with the same images; files by hard link, only the databases copied.
set -euo pipefail
case $1 in
  make)
    mount --make-rprivate /; mount -t tmpfs tmpfs /run
    cat >"$2/containerd.toml" <<X
version = 2
root = "$2/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$2/containerd.sock"
[ttrpc]
  address = "/run/containerd.ttrpc"
X
    exec containerd -c "$2/containerd.toml"
    ;;
  copy)
    # Image content and unpacked layers are only ever read: sharing the files saves time, disk and page cache.
    cp -al "$2/." "$3/" 2>/dev/null || { rm -rf "${3:?}"; cp -a "$2/." "$3/"; }
    find "$2" -name '*.db' -printf '%P\n' | while read -r file; do cp --remove-destination "$2/$file" "$3/$file"; done
    ;;
esac
