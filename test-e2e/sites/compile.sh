#!/bin/bash
# Fills the compile cache of an image as its Containerfile does: by ROOM/compile.sh, inside the image's file system.
# Usage: compile.sh ROOM ROOTFS ROOT CACHE   ROOT holds opt/keyfleet with source and modules; CACHE is a path below /opt/keyfleet.
set -euo pipefail
node=$(readlink -f "$(command -v node)")
install -d -o 10001 -g 10001 "$3$4"
cp "$node" "$3/opt/keyfleet/.node"
trap 'rm -f "$3/opt/keyfleet/.node"' EXIT
# In a mount namespace of its own: the file system below is everybody's.
unshare --mount -- bash -euc '
  mount --bind "$3/opt/keyfleet" "$2/opt/keyfleet"
  mount -t tmpfs tmpfs "$2/tmp"
  mkdir "$2/tmp/bin" && ln -s /opt/keyfleet/.node "$2/tmp/bin/node"
  chroot --userspec=10001:10001 "$2" /usr/bin/env -i PATH=/tmp/bin:/usr/bin:/bin NODE_ENV=production LANG=C.UTF-8 \
    NODE_COMPILE_CACHE="$4" "/opt/keyfleet/$1/compile.sh"
' compile "$1" "$2" "$3" "$4"
chmod -R go-w "$3$4"
