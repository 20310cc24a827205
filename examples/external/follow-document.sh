#!/bin/sh
# Keeps the document of an External node on its machine as the operator shows it. Run it there (a service, or cron with ONCE=1)
# with a kubeconfig that may get this one KmsNode and nothing else, or on a machine between and copy the file on.
#   follow-document.sh NODE NAMESPACE /etc/keyfleet/node.yaml
set -eu
[ $# -eq 3 ] || { echo "usage: follow-document.sh NODE NAMESPACE FILE" >&2; exit 2; }
node=$1 namespace=$2 file=$3 told=
while :; do
  # A file that is only half there must never be read: it is put in place as a whole.
  if ! problem=$({ ${KUBECTL:-kubectl} -n "$namespace" get kmsnode "$node" -o 'jsonpath={.status.document}' >"$file.new"; } 2>&1); then
    # Said once, not every five seconds; the machine goes on with the document that it has.
    [ "$problem" = "$told" ] || echo "follow-document: $problem" >&2
    told=$problem
    [ -z "${ONCE:-}" ] || exit 1
  elif [ -s "$file.new" ] && ! cmp -s "$file.new" "$file"; then
    chmod 0644 "$file.new"
    mv "$file.new" "$file"
    echo "follow-document: $file is new"
    told=
  else
    told=
  fi
  [ -z "${ONCE:-}" ] || exit 0
  sleep "${EVERY_SECONDS:-5}"
done
