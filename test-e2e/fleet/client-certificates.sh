#!/bin/bash
# Makes the certificates of KMIP clients for trying out: client-certificates.sh FOLDER
# ca.crt (for the ConfigMap that spec.clients.caBundleRefs names), app1 and app2 (good), foreign (of a CA nobody named),
# expired. Idempotent. Keys stay in FOLDER, which is made readable by its owner only.
set -euo pipefail
folder=${1:?usage: client-certificates.sh FOLDER}
[ -e "$folder/.complete" ] && exit 0
umask 077
mkdir -p "$folder"
cd "$folder"
quietly() { "$@" 2>openssl.log || { cat openssl.log >&2; exit 1; }; }

authority() { # NAME SUBJECT
  quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "$2" \
    -keyout "$1.key" -out "$1.crt" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
client() { # NAME CA NOT_BEFORE NOT_AFTER
  quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/O=bank/CN=$1" -keyout "$1.key" -out "$1.csr"
  mkdir -p "issue-$1/new"; : >"issue-$1/index"; openssl rand -hex 16 >"issue-$1/serial"
  printf '%s\n' '[ca]' 'default_ca=d' '[d]' "database=issue-$1/index" "serial=issue-$1/serial" "new_certs_dir=issue-$1/new" \
    'default_md=sha256' 'policy=p' 'x509_extensions=e' '[p]' 'organizationName=supplied' 'commonName=supplied' \
    '[e]' 'extendedKeyUsage=clientAuth' 'keyUsage=critical,digitalSignature' 'basicConstraints=critical,CA:FALSE' >"issue-$1/conf"
  quietly openssl ca -batch -config "issue-$1/conf" -cert "$2.crt" -keyfile "$2.key" -in "$1.csr" -out "$1.crt" -notext -startdate "$3" -enddate "$4"
  rm -r "issue-$1" "$1.csr"
}
yesterday=$(date -u -d '1 day ago' +%Y%m%d%H%M%SZ)
next_year=$(date -u -d '1 year' +%Y%m%d%H%M%SZ)
authority ca "/O=bank/CN=clients"
authority foreign-ca "/O=somebody else/CN=clients"
client app1 ca "$yesterday" "$next_year"
client app2 ca "$yesterday" "$next_year"
client foreign foreign-ca "$yesterday" "$next_year"
client expired ca "$(date -u -d '10 days ago' +%Y%m%d%H%M%SZ)" "$(date -u -d '2 days ago' +%Y%m%d%H%M%SZ)"
rm -f openssl.log
touch .complete
