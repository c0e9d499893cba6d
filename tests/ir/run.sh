#!/usr/bin/env bash
# run.sh [--bless] SLIPWAY [FILE.slip...] - golden text-IR tests; without FILE, all in this folder.
#
# A test is a graph with comments at its head and foot:
#     # run: slipway opt --passes canon %s     any number of lines; %s is this file, %t a scratch
#                                              file; standard output is compared, of all lines joined
#     # exit: 1                                status of the last line, 0 unless told
#     # expect-error: dim 1 is 4               must stand in what it said on standard error
#     ... the graph ...
#     # expect:
#     ... standard output, to the end of the file ...
# Everything before "# expect:" is the input. --bless writes the output that came into the files.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bless=
[ "${1:-}" = --bless ] && { bless=1; shift; }
SLIPWAY=$(realpath "${1:?usage: run.sh [--bless] SLIPWAY [FILE...]}")
shift
[ $# -gt 0 ] || set -- "$here"/*.slip
[ -e "$1" ] || { echo "skip ir: no test yet"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
slipway() { "$SLIPWAY" "$@"; }

failed=0
fail() {
    echo "FAIL $name: $*"
    failed=1
}
for file; do
    name=$(basename "$file" .slip)
    input=$work/$name.slip
    awk '/^# expect:/ { exit } { print }' "$file" >"$input"
    awk 'p { print } /^# expect:/ { p = 1 }' "$file" >"$work/want"
    exit_want=$(sed -n 's/^# exit: *//p' "$file" | head -n 1)
    status=none
    : >"$work/out"
    : >"$work/err"
    while IFS= read -r line; do
        line=${line//%s/$input}
        (cd "$work" && eval "${line//%t/$work/t}") >>"$work/out" 2>>"$work/err" </dev/null
        status=$?
    done < <(sed -n 's/^# run: *//p' "$file")

    [ $status != none ] || { fail "has no '# run:' line"; continue; }
    if [ $status != "${exit_want:-0}" ]; then
        fail "ended with $status, expected ${exit_want:-0}: $(head -n 3 "$work/err" | tr '\n' ' ')"
        continue
    fi
    missing=$(sed -n 's/^# expect-error: *//p' "$file" | while IFS= read -r want; do
        grep -qF -- "$want" "$work/err" || echo "$want"
    done)
    [ -z "$missing" ] || { fail "standard error lacks \"$missing\": $(head -n 3 "$work/err" | tr '\n' ' ')"; continue; }
    # What the program says of its input must not depend on where the test ran.
    sed "s|$input|$name.slip|g" "$work/out" >"$work/got"
    if cmp -s "$work/want" "$work/got"; then
        echo "ok $name"
    elif [ -n "$bless" ]; then
        { cat "$input"; echo "# expect:"; cat "$work/got"; } >"$work/new" && cp "$work/new" "$file"
        echo "blessed $name"
    else
        diff -u --label expected --label got "$work/want" "$work/got" | sed 's/^/# /'
        fail "other output"
    fi
done
exit $failed
