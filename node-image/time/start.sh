#!/bin/sh
# Runs chronyd for the key server: measures this machine's clock (-x: never sets it) against the servers in
# $KEYFLEET_RUN/chrony/chrony.conf. Waits until the key server has written that file and starts anew when it changes.
set -eu
wanted=${KEYFLEET_RUN:?KEYFLEET_RUN is not set}/chrony/chrony.conf
used=${KEYFLEET_RUN}/chrony/chrony-used.conf
running=""
daemon=""

end_daemon() {
  [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
  [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true
  daemon=""
}
trap 'end_daemon; exit 0' TERM INT

while :; do
  text=$(cat "$wanted" 2>/dev/null || true)
  if [ -n "$text" ] && [ "$text" != "$running" ]; then
    end_daemon
    printf '%s\n' "$text" >"$used"
    # A file left by a killed container names a process that may exist again.
    rm -f "${KEYFLEET_RUN}/chrony/command/chronyd.pid"
    # -U: not root. -u: chronyd wants its command folder to belong to the user it is told about.
    chronyd -d -x -U -u "$(id -un)" -f "$used" &
    daemon=$!
    running=$text
  fi
  if [ -n "$daemon" ] && ! kill -0 "$daemon" 2>/dev/null; then
    echo "chronyd ended; the container ends with it, to be started anew" >&2
    exit 1
  fi
  # In the background, so that a signal is heard at once.
  sleep 1 &
  wait $! || true
done
