#!/bin/bash
# Builds the programs that the local sites run (Kubernetes, etcd, helm) from Go modules, once per version.
# Usage: build-tools.sh [NAME...]; prints the folder that holds the programs of each name.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${KEYFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyfleet}/tools

# version NAME MODULE: the version that the go.mod of tools/NAME asks for
version() { sed -n "s#^\(require \)\?[[:space:]]*$2 \(v[^ ]*\).*#\2#p" "$here/tools/$1/go.mod" | head -n 1; }

# build NAME MODULE LDFLAGS: every `tool` line of tools/NAME/go.mod, into the cache; nothing to do when they are there
build() {
  local name=$1 tag; tag=$(version "$name" "$2")
  local out=$cache/$name-$tag begin=$SECONDS
  if [ ! -e "$out/.complete" ]; then
    local programs; programs=$(cd "$here/tools/$name" && go list tool)
    rm -rf "$out.part"; mkdir -p "$out.part"
    for program in $programs; do
      printf '  building %s %s (%s of this run)\n' "$(basename "$program")" "$tag" "$((SECONDS - begin)) s" >&2
      local target; target=$(basename "$program"); case $program in */server/v3) target=etcd ;; esac
      (cd "$here/tools/$name" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -ldflags "-s -w $3" -o "$out.part/$target" "$program")
    done
    touch "$out.part/.complete"; rm -rf "$out"; mv "$out.part" "$out"
    printf '  built %s %s in %s s\n' "$name" "$tag" "$((SECONDS - begin))" >&2
  fi
  echo "$out"
}

kubernetes=$(version kubernetes k8s.io/kubernetes)
stamp="-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${kubernetes:3:2}"
for name in "${@:-kubernetes etcd helm}"; do
  for one in $name; do
    case $one in
      kubernetes) build kubernetes k8s.io/kubernetes "$stamp" ;;
      etcd) build etcd go.etcd.io/etcd/server/v3 "" ;;
      helm) build helm helm.sh/helm/v4 "" ;;
      *) echo "build-tools.sh: unknown name '$one' (kubernetes, etcd, helm)" >&2; exit 2 ;;
    esac
  done
done
