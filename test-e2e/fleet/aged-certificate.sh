#!/bin/bash
# Signs what a node asks for as its site's operator did 29 days ago: aged-certificate.sh ADDRESSES (IP:A,IP:B)
# Input: the CA's certificate, its key and the request, PEM, one after the other. Output: the certificate, then the CA's. It
# has a day left of thirty.
set -euo pipefail
addresses=${1:?usage: aged-certificate.sh ADDRESSES}
umask 077
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
awk '/BEGIN CERTIFICATE-----/ {f="ca.crt"} /BEGIN.*PRIVATE KEY/ {f="ca.key"} /BEGIN CERTIFICATE REQUEST/ {f="node.csr"} f {print >f}'
mkdir new; : >index; openssl rand -hex 16 >serial
printf '%s\n' '[ca]' 'default_ca=d' '[d]' 'database=index' 'serial=serial' 'new_certs_dir=new' 'default_md=sha256' \
  'policy=p' 'preserve=yes' 'x509_extensions=e' '[p]' 'organizationName=supplied' 'organizationalUnitName=supplied' \
  'commonName=supplied' '[e]' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
  'extendedKeyUsage=serverAuth,clientAuth' 'authorityKeyIdentifier=keyid' 'subjectKeyIdentifier=hash' \
  "subjectAltName=$addresses" >conf
openssl ca -batch -config conf -cert ca.crt -keyfile ca.key -in node.csr -out node.crt -notext \
  -startdate "$(date -u -d '29 days ago' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d '1 day' +%Y%m%d%H%M%SZ)" 2>openssl.log ||
  { cat openssl.log >&2; exit 1; }
cat node.crt ca.crt
