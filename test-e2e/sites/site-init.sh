#!/bin/bash
# Process 1 of a site: its control plane, its router and its workers. Runs in network, mount and pid namespaces of its
# own, so that killing it is the total loss of the site. Environment: see siteEnvironment in site-processes.ts.
set -euo pipefail
site=$KF_SITE number=$KF_NUMBER dir=$KF_DIR bin=$KF_KUBERNETES here=$KF_HERE
ip=172.31.0.$number services=10.202.$number.0/24 pods=10.201.$number.0/24
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$dir"/{pki,etcd,log,volumes} /run/netns
cd "$dir"; rm -f api-ready

# keep NAME COMMAND...: runs a program again whenever it ends, log in log/NAME.log
keep() {
  local name=$1; shift
  while :; do "$@" >>"log/$name.log" 2>&1 || true; echo "ended; starting again" >>"log/$name.log"; sleep 1; done &
}

network() {
  for _ in $(seq 100); do ip link show wan0 >/dev/null 2>&1 && break; sleep 0.05; done
  sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
  ip link set lo up
  # The same address each time: neighbours keep it in their ARP tables over a loss of the site.
  ip link set wan0 address "02:00:ac:1f:00:0$number"; ip addr add "$ip/24" dev wan0; ip link set wan0 up
  ip route add default via 172.31.0.254
  for other in $KF_NUMBERS; do
    [ "$other" = "$number" ] && continue
    for range in 200 201 203; do ip route add "10.$range.$other.0/24" via "172.31.0.$other"; done
  done
}

# Worker 1 shares the site's network, as on a control plane that runs pods; the others have a namespace of their own.
worker_network() {
  local worker=$1 low=$((4 * ($1 - 1)))
  ip netns add "w$worker"; ip -n "w$worker" link set lo up
  ip link add "w$worker" type veth peer name lan0 netns "w$worker"
  ip addr add "10.200.$number.$((low + 1))/30" dev "w$worker"; ip link set "w$worker" up
  ip -n "w$worker" addr add "10.200.$number.$((low + 2))/30" dev lan0; ip -n "w$worker" link set lan0 up
  ip -n "w$worker" route add default via "10.200.$number.$((low + 1))"
  ip netns exec "w$worker" sysctl -qw net.ipv4.ip_forward=1
}

# worker_link N up|down: a route goes with its link, so each time it is set again
worker_link() {
  ip link set "w$1" "$2"
  [ "$2" = down ] || ip route replace "10.201.$number.$((64 * ($1 - 1)))/26" via "10.200.$number.$((4 * ($1 - 1) + 2))"
}

certificates() {
  [ -f complete ] && return
  cat >kubeadm.yaml <<X
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $ip, bindPort: 6443}
nodeRegistration: {name: $site-1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $KF_VERSION
clusterName: $site
certificatesDir: $dir/pki
encryptionAlgorithm: ECDSA-P256
controlPlaneEndpoint: $ip:6443
networking: {serviceSubnet: $services, podSubnet: $pods}
etcd: {local: {dataDir: $dir/etcd}}
X
  local each
  for each in ca apiserver apiserver-kubelet-client front-proxy-ca front-proxy-client sa; do
    "$bin/kubeadm" init phase certs "$each" --config kubeadm.yaml
  done
  for each in admin super-admin controller-manager scheduler kubelet; do
    "$bin/kubeadm" init phase kubeconfig "$each" --kubeconfig-dir "$dir" --config kubeadm.yaml
  done
  for each in $(seq 2 "$KF_WORKERS"); do
    "$bin/kubeadm" kubeconfig user --config kubeadm.yaml --client-name "system:node:$site-$each" --org system:nodes >"kubelet-$each.conf"
  done
  mv kubelet.conf kubelet-1.conf
  touch complete
}

control_plane() {
  # Its state is thrown away with the site, so that it need not wait for the disk.
  keep etcd "$KF_ETCD/etcd" --data-dir etcd --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  keep apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --advertise-address="$ip" --secure-port=6443 \
    --service-cluster-ip-range="$services" --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --client-ca-file=pki/ca.crt --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key \
    --kubelet-client-certificate=pki/apiserver-kubelet-client.crt --kubelet-client-key=pki/apiserver-kubelet-client.key \
    --kubelet-preferred-address-types=InternalIP --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file=pki/sa.pub --service-account-signing-key-file=pki/sa.key \
    --requestheader-client-ca-file=pki/front-proxy-ca.crt --proxy-client-cert-file=pki/front-proxy-client.crt \
    --proxy-client-key-file=pki/front-proxy-client.key --requestheader-allowed-names=front-proxy-client \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User --allow-privileged=true --profiling=false
  # Look for the open port first: that is cheap, and three sites start on few cores.
  until (exec 3<>"/dev/tcp/$ip/6443") 2>/dev/null; do sleep 0.1; done
  until "$bin/kubectl" --kubeconfig super-admin.conf get --raw /readyz >/dev/null 2>&1; do sleep 0.3; done
  # The last of RBAC's own roles may still be in the making.
  until "$bin/kubectl" --kubeconfig super-admin.conf apply -f "$here/site.yaml" >log/site-yaml.log 2>&1; do sleep 0.5; done
  touch api-ready
  keep controller-manager "$bin/kube-controller-manager" --kubeconfig=controller-manager.conf \
    --authentication-kubeconfig=controller-manager.conf --authorization-kubeconfig=controller-manager.conf \
    --leader-elect=false --kube-api-qps=200 --kube-api-burst=400 --allocate-node-cidrs=false --service-cluster-ip-range="$services" \
    --cluster-signing-cert-file=pki/ca.crt --cluster-signing-key-file=pki/ca.key --root-ca-file=pki/ca.crt \
    --service-account-private-key-file=pki/sa.key --use-service-account-credentials=true --client-ca-file=pki/ca.crt \
    --node-monitor-grace-period=8s --node-monitor-period=2s --profiling=false \
    --controllers=*,-horizontal-pod-autoscaler-controller,-resourcequota-controller,-cronjob-controller,-ttl-controller,-service-lb-controller,-resourceclaim-controller
  keep scheduler "$bin/kube-scheduler" --kubeconfig=scheduler.conf --leader-elect=false --profiling=false
  keep services "$KF_NODE" "$here/site-services.ts"
}

# A worker runs until it is killed; while the file stopped-N is there it stays off.
workers() {
  for worker in $(seq "$KF_WORKERS"); do
    mkdir -p "w$worker"
    enter=(); [ "$worker" = 1 ] || { worker_network "$worker"; enter=(nsenter "--net=/run/netns/w$worker"); }
    while :; do
      if [ -e "stopped-$worker" ]; then sleep 0.3; continue; fi
      [ "$worker" = 1 ] || worker_link "$worker" up
      KF_WORKER=$worker bash "$here/launch.sh" "$KF_CGROUP/w$worker.system" "${enter[@]}" \
        unshare --mount --pid --fork --kill-child --mount-proc bash "$here/worker-init.sh" >"w$worker/init.log" 2>&1 || true
      [ "$worker" = 1 ] || worker_link "$worker" down
      sleep 0.2
    done &
  done
}

network
certificates >log/certificates.log 2>&1
workers
bash "$here/kube-proxy.sh" "$site-1" "$dir" &
control_plane
exec "$KF_PAUSE"
