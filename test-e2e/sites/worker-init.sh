#!/bin/bash
# Process 1 of a worker: containerd, kubelet and all pods. Killing it is the total loss of the worker.
set -euo pipefail
site=$KF_SITE number=$KF_NUMBER worker=$KF_WORKER here=$KF_HERE dir=$KF_DIR/w$KF_WORKER name=$KF_SITE-$KF_WORKER
node_ip=172.31.0.$number; [ "$worker" = 1 ] || node_ip=10.200.$number.$((4 * (worker - 1) + 2))
mount --make-rprivate /
mkdir -p "$dir"/{log,cni,plugins,kubelet,containerd,run,pod-logs,containers} /var/log/containers
# What programs keep in fixed places must not meet another worker's, nor the machine's.
mount -t tmpfs -o mode=755 tmpfs /run; mkdir -p /run/netns
mkdir -p /var/lib/cni; mount -t tmpfs tmpfs /var/lib/cni
mkdir -p /var/log; mount --bind "$dir/pod-logs" /var/log
cd "$dir"; rm -rf run; mkdir run

# The pods of a site count as four processes outside: as one, a busy machine would leave an operator a hundredth of a core.
cgroups() {
  local parent=/sys/fs/cgroup path
  if [ -e $parent/cgroup.controllers ]; then
    mkdir -p "$parent/$KF_CGROUP/w$worker"
    for path in "$parent" "$parent/$KF_CGROUP"; do
      tr ' ' '\n' <"$path/cgroup.controllers" | sed 's/^/+/' | while read -r each; do echo "$each" >"$path/cgroup.subtree_control" || true; done
    done
    echo 400 >"$parent/$KF_CGROUP/cpu.weight" || true
    return
  fi
  for parent in /sys/fs/cgroup/{cpu,cpuacct,cpuset,memory,devices,freezer,blkio,pids,hugetlb,systemd}; do
    [ -d "$parent" ] || continue
    for path in "$KF_CGROUP" "$KF_CGROUP/w$worker"; do
      mkdir -p "$parent/$path"
      case $parent in */cpuset)
        cat $parent/cpuset.cpus >"$parent/$path/cpuset.cpus"; cat $parent/cpuset.mems >"$parent/$path/cpuset.mems" ;;
      esac
    done
  done
  echo 4096 >"/sys/fs/cgroup/cpu/$KF_CGROUP/cpu.shares"
}

configuration() {
  cat >containerd.toml <<X
version = 2
root = "$dir/containerd"
state = "$dir/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "$dir/run/containerd.sock"
[ttrpc]
  address = "$dir/run/containerd.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/keyfleet-pause:1"
  # Without CAP_SYS_RESOURCE a score below one's own is refused, and with it every pod.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$dir/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
X
  cat >cni/10-bridge.conflist <<X
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
 "ipam": {"type": "host-local", "dataDir": "$dir/run/ipam", "ranges": [[{"subnet": "10.201.$number.$((64 * (worker - 1)))/26"}]],
 "routes": [{"dst": "0.0.0.0/0"}]}}]}
X
  # There is no name server: look-ups fail at once instead of after 5 s.
  echo "nameserver 127.0.0.1" >resolv.conf
  cat >kubelet.yaml <<X
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $KF_DIR/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$KF_CGROUP/w$worker
cgroupsPerQOS: true
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
containerRuntimeEndpoint: unix://$dir/run/containerd.sock
volumePluginDir: $dir/plugins
resolvConf: $dir/resolv.conf
clusterDNS: ["127.0.0.1"]
clusterDomain: cluster.local
makeIPTablesUtilChains: false
rotateCertificates: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
nodeStatusUpdateFrequency: 2s
# Changes of Secrets and ConfigMaps reach the pods within about this time.
syncFrequency: 10s
maxPods: 60
X
}

cgroups
configuration
keep() {
  local log=log/$1.log; shift
  while :; do "$@" >>"$log" 2>&1 || true; echo "ended; starting again" >>"$log"; sleep 1; done &
}
[ -e containerd/io.containerd.metadata.v1.bolt ] || [ ! -d "$KF_SEED" ] || bash "$here/seed.sh" copy "$KF_SEED" containerd
keep containerd containerd -c containerd.toml
[ "$worker" = 1 ] || bash "$here/kube-proxy.sh" "$name" "$dir" &
until [ -S run/containerd.sock ]; do sleep 0.05; done
until [ -e "$KF_DIR/api-ready" ]; do sleep 0.1; done
keep kubelet "$KF_KUBERNETES/kubelet" --config=kubelet.yaml --kubeconfig="$KF_DIR/kubelet-$worker.conf" --root-dir="$dir/kubelet" \
  --hostname-override="$name" --node-ip="$node_ip" --node-labels="topology.kubernetes.io/zone=$(cat zone 2>/dev/null || echo "$site")"
exec "$KF_PAUSE"
