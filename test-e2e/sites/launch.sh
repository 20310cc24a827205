#!/bin/bash
# Starts a process tree of its own that outlives the shell: launch.sh CGROUP COMMAND...; logs go where stdout goes.
# Every process of it stays in CGROUP (below the tracking hierarchy), so that the tree is found again without a pid file.
set -euo pipefail
tracking=/sys/fs/cgroup/systemd; [ -d "$tracking" ] || tracking=/sys/fs/cgroup
mkdir -p "$tracking/$1"; echo $$ >"$tracking/$1/cgroup.procs"; shift
exec "$@"
