#!/bin/bash
# Builds the images keyfleet-node and keyfleet-operator into the cache, without a registry or a daemon. See images.ts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export PATH=$here/../../node_modules/.bin:$PATH
command -v node >/dev/null || { echo "images.sh: node is missing; run ./setup.sh first" >&2; exit 1; }
cache=${KEYFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyfleet}
mkdir -p "$cache/images"
exec flock "$cache/images.lock" node "$here/images.ts" "$@"
