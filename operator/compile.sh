#!/bin/sh
# Fills NODE_COMPILE_CACHE with what the operator loads, while the image is built: in a pod nothing is left to be compiled
# or stripped of types, so a new leader is there earlier, and without the type stripper the process is smaller.
set -eu
: "${NODE_COMPILE_CACHE:?NODE_COMPILE_CACHE must name the folder}"
# With the flags of the chart (helm/templates/deployment.yaml): what V8 made under others it does not take.
node --optimize-for-size --no-opt "$(dirname "$0")/main.ts" --help >/dev/null
