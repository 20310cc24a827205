#!/bin/sh
# Runs PostgreSQL for one node, as a container's command or by hand on a machine; safe after any kill -9.
#   KEYFLEET_POSTGRES_DATA  folder of the database; made when it is empty
#   KEYFLEET_RUN            folder shared with the key server: the socket is in postgres/, its configuration in postgres/conf/
#   KEYFLEET_MESH_PORT      port for peers, default 5432; also names the socket
#   KEYFLEET_LISTEN         addresses to listen on, default all
#   KEYFLEET_POSTGRES_BIN   folder of the programs
# TERM or INT ends it; whatever else ends PostgreSQL, it is started again.
set -eu
umask 077

data=${KEYFLEET_POSTGRES_DATA:?"KEYFLEET_POSTGRES_DATA must name the folder of the database"}
run=${KEYFLEET_RUN:?"KEYFLEET_RUN must name the folder shared with the key server"}/postgres
port=${KEYFLEET_MESH_PORT:-5432}
bin=${KEYFLEET_POSTGRES_BIN:-/usr/lib/postgresql/18/bin}
templates=$(dirname "$0")

# Once is what runs one PostgreSQL to its end; this one starts it again, also when it cannot start now: the disk may be full.
if [ "${KEYFLEET_POSTGRES_ONCE:-}" = "" ]; then
  ending='' once=''
  trap 'ending=yes; kill -TERM "$once" 2>/dev/null || :' TERM INT
  pause=0
  while [ -z "$ending" ]; do
    started=$(date +%s)
    KEYFLEET_POSTGRES_ONCE=yes "$0" &
    once=$!
    while kill -0 "$once" 2>/dev/null; do
      code=0
      wait "$once" || code=$?
    done
    [ -z "$ending" ] || exit "$code"
    [ $(($(date +%s) - started)) -lt 30 ] || pause=0
    printf '{"level":"warn","room":"postgres","message":"PostgreSQL has ended with %s; it is started again in %s s"}\n' "$code" "$pause"
    sleep "$pause" &
    wait "$!" || :
    pause=$((pause < 3 ? pause + 1 : 3))
  done
  exit 0
fi

say() { printf '{"level":"info","room":"postgres","message":"%s"}\n' "$1"; }

mkdir -p "$data" "$run/conf"
# The database's folder may be the root of a mounted volume, which is not ours to change; the cluster inside is 0700.
chmod 0700 "$run" "$run/conf"

# Every process of PostgreSQL stands in its database's folder; after a kill -9 of the first the others need a moment.
runs_in() {
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/cwd" 2>/dev/null)" != "$1" ] || return 0
  done
  return 1
}

# By its own name, whatever links led here: by that its processes are known.
cluster=$(readlink -f "$data")/18
if [ ! -f "$cluster/PG_VERSION" ]; then
  say "making the database"
  rm -rf "$data/making"
  "$bin/initdb" --pgdata="$data/making" --username=keyfleet --auth-local=peer --auth-host=reject \
    --encoding=UTF8 --locale=C --data-checksums >/dev/null
  mv "$data/making" "$cluster"
fi

# A server whose start.sh was killed still runs: it is ended, and so are the rest of one that was killed itself.
waited=0
while runs_in "$cluster"; do
  left=$(head -n 1 "$cluster/postmaster.pid" 2>/dev/null || :)
  if [ -n "$left" ] && [ "$(readlink "/proc/$left/cwd" 2>/dev/null)" = "$cluster" ]; then kill -INT "$left" || :; fi
  [ "$waited" -lt 30 ] || { say "another PostgreSQL still runs in $cluster"; exit 1; }
  waited=$((waited + 1))
  sleep 1
done

# Nobody is left, so what these say is stale; a process id of before may be anybody's now.
rm -f "$cluster/postmaster.pid" "$run/.s.PGSQL.$port" "$run/.s.PGSQL.$port.lock"
cp "$templates/postgresql.conf" "$templates/pg_hba.conf" "$templates/pg_ident.conf" "$cluster/"
{
  printf "unix_socket_directories = '%s'\nport = %s\n" "$run" "$port"
  printf "listen_addresses = '%s'\n" "${KEYFLEET_LISTEN:-*}"
  printf "include_dir = '%s'\n" "$run/conf"
} >>"$cluster/postgresql.conf"
for name in pg_hba.mesh pg_ident.mesh; do [ -f "$run/conf/$name" ] || : >"$run/conf/$name"; done
printf 'include_if_exists %s/conf/pg_hba.mesh\n' "$run" >>"$cluster/pg_hba.conf"
printf 'include_if_exists %s/conf/pg_ident.mesh\n' "$run" >>"$cluster/pg_ident.conf"
printf 'local "%s" keyfleet\n' "$(id -un)" >>"$cluster/pg_ident.conf"
: >"$cluster/postgresql.auto.conf"

# Containers are ended with TERM, at which PostgreSQL would wait for its clients, and peers never leave; INT ends it at once.
trap 'kill -INT "$server" 2>/dev/null || :' TERM INT
# A session that asks for more memory fails alone; none may take what the others need. A process of ours takes 140 MB,
# nearly all of it shared.
ulimit -v 400000
"$bin/postgres" -D "$cluster" &
server=$!
while kill -0 "$server" 2>/dev/null; do
  code=0
  wait "$server" || code=$?
done
exit "$code"
