#!/bin/bash
# Fills the compile cache of a node image as its Containerfile does: by node-image/compile.sh, inside the image's file system.
# Usage: compile.sh ROOTFS ROOT CACHE   ROOT holds opt/keyfleet with source and modules; CACHE is a path below /opt/keyfleet.
set -euo pipefail
node=$(readlink -f "$(command -v node)")
install -d -o 10001 -g 10001 "$2$3"
cp "$node" "$2/opt/keyfleet/.node"
trap 'rm -f "$2/opt/keyfleet/.node"' EXIT
# In a mount namespace of its own: the file system below is everybody's.
unshare --mount -- bash -euc '
  mount --bind "$2/opt/keyfleet" "$1/opt/keyfleet"
  mount -t tmpfs tmpfs "$1/tmp"
  mkdir "$1/tmp/bin" && ln -s /opt/keyfleet/.node "$1/tmp/bin/node"
  chroot --userspec=10001:10001 "$1" /usr/bin/env -i PATH=/tmp/bin:/usr/bin:/bin NODE_ENV=production LANG=C.UTF-8 \
    NODE_COMPILE_CACHE="$3" /opt/keyfleet/node-image/compile.sh
' compile "$1" "$2" "$3"
chmod -R go-w "$2$3"
