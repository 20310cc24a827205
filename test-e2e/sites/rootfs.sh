#!/bin/bash
# Makes the file systems that the two images stand on: unpacked Debian packages without what a server never reads.
# Usage: rootfs.sh [node|operator...]; prints one folder a line. Does nothing when a folder is there and its list the same.
set -euo pipefail
cache=${KEYFLEET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/keyfleet}
suite=forky
mirror=${KEYFLEET_DEBIAN_MIRROR:-http://deb.debian.org/debian}
base=base-files,bash,dash,coreutils,libc-bin,libc6,libstdc++6,sed,grep,ca-certificates
declare -A packages=(
  [operator]=$base
  [node]=$base,findutils,hostname,postgresql-18,postgresql-client-18,softhsm2,libsofthsm2,chrony,iproute2,tzdata
)
# Programs of packages that only installation needs: perl runs Debian's cluster wrappers, we call initdb and postgres.
unwanted=(
  usr/share/{doc,doc-base,man,info,lintian,linda,locale,i18n,bash-completion,bug,pixmaps,perl,perl5,debconf,postgresql-common,zsh,menu,common-licenses}
  usr/share/postgresql/18/man
  usr/lib/{systemd,udev,init,tmpfiles.d,sysusers.d}
  usr/lib/x86_64-linux-gnu/{perl,perl5,perl-base,gconv,systemd,"libperl.so*"}
  usr/lib/postgresql/18/lib/bitcode
  usr/bin/"perl*" usr/bin/{gpgv,dpkg*,debconf*,apt*}
  usr/include etc/{systemd,init.d,cron.*,logrotate.d,apt,perl,pam.d,xdg} var/lib/{apt,dpkg} var/cache var/log
)

say() { printf '[rootfs %4d s] %s\n' "$SECONDS" "$*" >&2; }

# key NAME: changes with everything that decides about the content
key() { { sed '/^say()/q' "$0"; sed -n '/^unpack()/,/^}/p;/^finish()/,/^}/p' "$0"; echo "$1 ${packages[$1]} $mirror"; } | sha256sum | cut -c1-16; }

# unpack NAME FOLDER: packages and what they depend on, signatures checked, no script of theirs run
unpack() {
  mmdebstrap --quiet --variant=extract --mode=root --skip=cleanup/reproducible \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Apt::Install-Recommends "false"' \
    --include="${packages[$1]}" "$suite" "$2" "$mirror"
}

# finish FOLDER: what the packages' own scripts would have done, as far as a server needs it
finish() {
  local root=$1 path
  mkdir -p "$root/etc/ssl/certs" "$root/opt/keyfleet" "$root/run/keyfleet" "$root/var/lib/keyfleet"
  find "$root/usr/share/ca-certificates" -name '*.crt' -exec cat {} + >"$root/etc/ssl/certs/ca-certificates.crt"
  for path in "${unwanted[@]}"; do
    # shellcheck disable=SC2086  # the patterns are meant to expand
    rm -rf "$root"/$path
  done
  mkdir -p "$root"/{tmp,var/log,var/tmp,proc,sys,dev,etc} && chmod 1777 "$root/tmp" "$root/var/tmp"
  printf '%s\n' root:x:0:0:root:/root:/bin/bash keyfleet:x:10001:10001:keyfleet:/var/lib/keyfleet:/usr/sbin/nologin \
    _chrony:x:10002:10002:chrony:/var/lib/chrony:/usr/sbin/nologin nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin >"$root/etc/passwd"
  printf '%s\n' root:x:0: keyfleet:x:10001: _chrony:x:10002: nogroup:x:65534: >"$root/etc/group"
  printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
  ln -sf /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
  [ -e "$root/bin/sh" ] || ln -sf dash "$root/usr/bin/sh"
  chown 10001:10001 "$root/var/lib/keyfleet" "$root/run/keyfleet"
  find "$root" -xdev -type f -perm /6000 -exec chmod ug-s {} +
  find "$root" -xdev -xtype l -path '*/alternatives/*' -delete
  chroot "$root" /sbin/ldconfig
}

for name in "${@:-node operator}"; do
  for one in $name; do
    [ -n "${packages[$one]:-}" ] || { echo "rootfs.sh: unknown name '$one' (node, operator)" >&2; exit 2; }
    out=$cache/rootfs/$one wanted=$(key "$one")
    if [ "$(cat "$out.key" 2>/dev/null)" != "$wanted" ]; then
      command -v mmdebstrap >/dev/null || { echo "rootfs.sh: mmdebstrap is missing; run ./setup.sh first" >&2; exit 1; }
      say "unpacking Debian $suite for $one"
      mkdir -p "$cache/rootfs"; rm -rf "$out.part" "$out.key"
      unpack "$one" "$out.part"; finish "$out.part"
      rm -rf "$out"; mv "$out.part" "$out"; echo "$wanted" >"$out.key"
      say "$one: $(du -sm "$out" | cut -f1) MB"
    fi
    echo "$out"
  done
done
