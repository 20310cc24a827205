#!/bin/sh
# Removes from a node_modules folder what a running server never reads. Usage: prune-modules.sh FOLDER
set -eu
cd "$1"
find . -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.md' -o -name '*.markdown' \
  -o -name '.package-lock.json' -o -name 'tsconfig*.json' -o -name '*.tsbuildinfo' -o -name '.eslintrc*' -o -name '.npmignore' \) -delete
find . -type d \( -name test -o -name tests -o -name __tests__ -o -name docs -o -name example -o -name examples -o -name .github \) -prune -exec rm -rf {} +
rm -rf @types undici-types .bin
# Of the native addon only the compiled file is loaded.
if [ -d pkcs11js ]; then
  cp pkcs11js/build/Release/pkcs11.node pkcs11js/.keep
  rm -rf pkcs11js/build pkcs11js/src pkcs11js/includes pkcs11js/binding.gyp
  mkdir -p pkcs11js/build/Release && mv pkcs11js/.keep pkcs11js/build/Release/pkcs11.node
fi
find . -type d -empty -delete
