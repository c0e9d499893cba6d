#!/usr/bin/env bash
# run.sh [ARGUMENT...] - build Slipway and run it: ./run.sh convert model.onnx -o model.tflite
#
# Without arguments: a small network of our own is quantised to int8 TFLite and verified.
# What the build needs is installed when it is missing (apt; as root or with sudo).
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/tools/house.sh"

bring_in "$needs_to_build"
[ -x "$root/build/slipway" ] || say "building slipway in $root/build (a minute or two, the first time)"
set_up "$root/build" -Dbuildtype=release -Dwerror=false -Dtests=false || exit 2
compile "$root/build" slipway || exit 2

if [ $# -eq 0 ]; then
    exec bash "$root/examples/demo.sh" "$root/build/slipway"
fi
exec "$root/build/slipway" "$@"
