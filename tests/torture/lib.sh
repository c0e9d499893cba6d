# lib.sh - what the torture scripts share. Sourced with the program as $1.
set -u
SLIPWAY=$(realpath "$1")
SHARED=$(realpath -m "${SLIPWAY_SHARED:-${SLIPWAY_SOURCE:-.}/../shared}")
work=$(mktemp -d)
trap 'chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 2
failed=0

fail() {
    echo "FAIL $*"
    failed=1
}

# found_by_sanitizer FILE: did a sanitizer speak?
found_by_sanitizer() {
    grep -qE 'runtime error:|ERROR: (Address|Leak|Undefined|Memory|Thread)Sanitizer' "$1"
}
