#!/usr/bin/env bash
# demo.sh SLIPWAY - the main job on a small network of our own: quantise, convert, verify.
#
# examples/demo.slip is a convolutional network with seeded weights, in Slipway's text form.
set -eu
slipway=$(realpath "${1:?usage: demo.sh SLIPWAY}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(mktemp -d "${TMPDIR:-/tmp}/slipway-demo-XXXXXX")

show() {
    printf '\n$ %s\n' "slipway $*"
    "$slipway" "$@"
}
cd "$out"
cp "$here/demo.slip" demo.slip
show info demo.slip
show convert demo.slip -o demo.tflite --quantize int8 --calib random:1:32
show verify demo.slip demo.tflite --inputs random:2:8 --min-correlation 0.99
printf '\nVerified. The model and the artifact are in %s\n' "$out"
