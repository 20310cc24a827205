#!/bin/bash
# Installs the KMIP clients of the demo and the stories into the cache, once per version; prints nothing when they are there.
# After it: $cache/clients/pykmip/bin/python, $cache/clients/pykmip-tests,
# the programs $cache/clients/kmip-go and $cache/clients/kmip-go-suite, and those of products' own client code:
# $cache/clients/openbao and, with libmongocrypt, $cache/clients/mongocrypt/bin/python.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${KEYFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyfleet}/clients
version=0.11.0 pytest=9.2.0 testtools=2.9.1 mongocrypt=1.21.2 bson=4.20.1
mkdir -p "$cache"
exec 9>"$cache/install.lock"
flock 9

# PyKMIP needs Python before 3.12 (ssl.wrap_socket): Debian 12's own has 3.11.
if [ ! -e "$cache/pykmip-$version/.complete" ]; then
  echo "  installing PyKMIP $version" >&2
  rm -rf "$cache/pykmip-$version"
  /usr/bin/python3 -m venv "$cache/pykmip-$version"
  "$cache/pykmip-$version/bin/pip" install --quiet --disable-pip-version-check "pykmip==$version"
  touch "$cache/pykmip-$version/.complete"
fi
ln -sfn "pykmip-$version" "$cache/pykmip"

# PyKMIP's own integration tests come with its source only; they run in the same environment.
if [ ! -e "$cache/pykmip-tests-$version/.complete" ]; then
  echo "  installing PyKMIP's integration tests" >&2
  rm -rf "$cache/pykmip-tests-$version"
  mkdir -p "$cache/pykmip-tests-$version/download"
  pip=("$cache/pykmip-$version/bin/pip" --quiet --disable-pip-version-check)
  "${pip[@]}" install "pytest==$pytest" "testtools==$testtools"
  "${pip[@]}" download --no-deps --no-binary pykmip -d "$cache/pykmip-tests-$version/download" "pykmip==$version"
  tar xzf "$cache/pykmip-tests-$version"/download/*.tar.gz -C "$cache/pykmip-tests-$version" --strip-components=1
  rm -r "$cache/pykmip-tests-$version/download"
  touch "$cache/pykmip-tests-$version/.complete"
fi
ln -sfn "pykmip-tests-$version" "$cache/pykmip-tests"

if [ ! -e "$cache/mongocrypt-$mongocrypt/.complete" ]; then
  echo "  installing libmongocrypt $mongocrypt" >&2
  rm -rf "$cache/mongocrypt-$mongocrypt"
  /usr/bin/python3 -m venv "$cache/mongocrypt-$mongocrypt"
  "$cache/mongocrypt-$mongocrypt/bin/pip" install --quiet --disable-pip-version-check "pymongocrypt==$mongocrypt" "pymongo==$bson"
  touch "$cache/mongocrypt-$mongocrypt/.complete"
fi
ln -sfn "mongocrypt-$mongocrypt" "$cache/mongocrypt"

build() { # NAME FOLDER PACKAGE
  local key
  key=$(find "$here/$2" -type f | sort | xargs cat | sha256sum | cut -c1-16)
  if [ ! -e "$cache/$1-$key" ]; then
    echo "  building $1" >&2
    (cd "$here/$2" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -o "$cache/$1-$key.part" "$3")
    mv "$cache/$1-$key.part" "$cache/$1-$key"
  fi
  ln -sfn "$1-$key" "$cache/$1"
}
build kmip-go kmip-go .
build kmip-go-suite kmip-go ./suite
build openbao openbao .
