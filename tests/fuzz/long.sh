#!/usr/bin/env bash
# long.sh [SECONDS [READER...]] - fuzz every reader with libFuzzer, SECONDS each (600 unless told).
#
# Findings stay in build-fuzz/findings/READER; what was learnt, in build-fuzz/corpus/READER.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/tools/house.sh"
seconds=${1:-600}
shift
bring_in_wanted "cmd:clang clang"
bring_in_wanted "fuzzer libclang-rt-$(clang -dumpversion 2>/dev/null | cut -d. -f1)-dev"
command -v clang >/dev/null || { echo "skip fuzz: no clang here"; exit 0; }
dir=$root/build-fuzz
CC=clang set_up "$dir" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false || { echo "FAIL fuzz: meson setup"; exit 1; }
[ $# -gt 0 ] || set -- $(cd "$root/tests/fuzz" && ls fuzz_*.c | sed 's/^fuzz_//; s/\.c$//')
# shellcheck disable=SC2046
compile "$dir" $(printf 'tests/fuzz/fuzz_%s ' "$@") || { echo "FAIL fuzz: build, see $dir/compile.log"; exit 1; }

export SLIPWAY_SOURCE=$root ASAN_OPTIONS=allocator_may_return_null=1
. "$root/tests/fuzz/corpus.sh"
failed=0
for reader; do
    found=$dir/findings/$reader
    mkdir -p "$dir/corpus/$reader" "$found"
    corpus "$reader" | while read -r file; do cp -n "$file" "$dir/corpus/$reader/"; done
    before=$(find "$found" -type f | wc -l)
    "$dir/tests/fuzz/fuzz_$reader" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
        -max_len=300000 -fork="$(nproc)" -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
        -print_final_stats=1 -artifact_prefix="$found/" "$dir/corpus/$reader" >"$dir/$reader.log" 2>&1 </dev/null
    status=$?
    n=$(($(find "$found" -type f | wc -l) - before))
    if [ $status = 0 ] && [ $n = 0 ]; then
        echo "ok fuzz-$reader: $(grep -oE '^#[0-9]+' "$dir/$reader.log" | tail -n 1 | tr -d '#') inputs in $seconds s"
    else
        echo "FAIL fuzz-$reader: $n findings in $found (status $status)"
        failed=1
    fi
done
exit $failed
