#!/bin/sh
# Prints the Secret with which the operator of another site sees this one: a kubeconfig with a short-lived token of the
# account keyfleet-peer. Run against this site (KUBECONFIG or --context), apply the output in the other site.
# Renew before the token ends; the operators take the new one without a restart.
set -eu

usage() {
  echo "usage: peer-secret.sh --site NAME [--namespace keyfleet] [--into NAMESPACE] [--duration 720h] [--context CONTEXT] [--server URL] [--proxy URL]" >&2
  exit 2
}

site= namespace=keyfleet into= duration=720h context= server= proxy=
while [ $# -gt 0 ]; do
  case "$1" in
    --site | --namespace | --into | --duration | --context | --server | --proxy)
      [ $# -ge 2 ] || usage
      name=${1#--}
      eval "$name=\$2"
      shift 2 ;;
    *) usage ;;
  esac
done
[ -n "$site" ] || usage

kubectl() { command "${KUBECTL:-kubectl}" ${context:+--context "$context"} "$@"; }
minified() { kubectl config view --minify --raw --flatten -o "jsonpath={.clusters[0].cluster.$1}"; }

token=$(kubectl -n "$namespace" create token keyfleet-peer --duration "$duration")
authority=$(minified certificate-authority-data)
[ -n "$server" ] || server=$(minified server)
[ -n "$authority" ] || { echo "peer-secret.sh: the kubeconfig has no certificate authority for $server" >&2; exit 1; }

cat <<SECRET
apiVersion: v1
kind: Secret
metadata:
  name: keyfleet-site-$site
  namespace: ${into:-$namespace}
  labels: {keyfleet.io/site: $site}
stringData:
  kubeconfig: |
    apiVersion: v1
    kind: Config
    current-context: $site
    contexts: [{name: $site, context: {cluster: $site, user: keyfleet-peer, namespace: $namespace}}]
    clusters: [{name: $site, cluster: {server: "$server", certificate-authority-data: $authority${proxy:+, proxy-url: "$proxy"}}}]
    users: [{name: keyfleet-peer, user: {token: $token}}]
SECRET
