#!/usr/bin/env bash
# replay.sh TARGET - give a fuzz target (fuzz_READER, built with replay_main.c) its corpus.
set -u
target=$(realpath "$1")
reader=$(basename "$target")
reader=${reader#fuzz_}
. "${SLIPWAY_SOURCE:?}/tests/fuzz/corpus.sh"
mapfile -t files < <(corpus "$reader")
[ ${#files[@]} -gt 0 ] || { echo "FAIL fuzz-$reader: no corpus"; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
failed=0
# A model that asks for a terabyte gets no memory, as on a real machine.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:abort_on_error=1:allocator_may_return_null=1:max_allocation_size_mb=2048"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-}:abort_on_error=1"
for file in "${files[@]}"; do
    # Big files are slow to read under a sanitizer: damage them less often.
    runs=200
    [ "$(stat -c %s "$file")" -lt 60000 ] || runs=20
    name=$reader-$(basename "$file")
    if "$target" -r "${SLIPWAY_FUZZ_RUNS:-$runs}" "$file" >out 2>&1; then
        echo "ok $name"
    else
        status=$?
        mkdir -p "$OLDPWD/findings" && cp fuzz-finding.bin "$OLDPWD/findings/$name" 2>/dev/null
        tail -n 40 out | sed 's/^/# /'
        echo "FAIL $name: ended with $status: $(grep -m1 -E 'Sanitizer|runtime error|too slow|signal' out)"
        failed=1
    fi
done
exit $failed
