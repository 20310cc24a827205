#!/bin/bash
# Runs kube-proxy for one node in the network namespace it is started in: kube-proxy.sh NODE FOLDER
set -euo pipefail
mkdir -p "$2/log"
cat >"$2/kube-proxy.yaml" <<X
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $KF_DIR/super-admin.conf}
clusterCIDR: 10.201.$KF_NUMBER.0/24
hostnameOverride: $1
conntrack: {maxPerCore: 0}
nftables: {minSyncPeriod: 100ms, syncPeriod: 1h}
X
while :; do
  "$KF_KUBERNETES/kube-proxy" --config "$2/kube-proxy.yaml" >>"$2/log/kube-proxy.log" 2>&1 || true
  sleep 1
done
