#!/usr/bin/env bash
# test.sh [--judges] [--clang] [--long] - build Slipway and test it.
#
#   (nothing)  unit, text-IR, bad-input and torture tests, the fuzz corpora, the house rules:
#              once as users run it, once under the address and undefined-behaviour sanitizers
#   --judges   also ask the independent readers and runtimes (Python, ../shared)
#   --clang    also build with the second compiler and run the quick tests there
#   --long     also fuzz every reader (SLIPWAY_FUZZ_SECONDS each, 600 unless told)
#
# The last line is the sum: "N passed, N failed". Exit status 1 when something failed.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/tools/house.sh"
cd "$root" || exit 2

judges= clang= long=
for word; do
    case $word in
    --judges) judges=1 ;;
    --clang) clang=1 ;;
    --long) long=1 ;;
    *) sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

bring_in "$needs_to_test"
bring_in_wanted "$wants_to_test"

passed=0 failed=0 skipped=0
# add FILE: count the results in it (tests/count.awk), show failures and skips.
add() {
    local sums
    sums=$(awk -f tests/count.awk "$1")
    printf '%s\n' "$sums" | sed '$d'
    set -- $(printf '%s\n' "$sums" | tail -n 1)
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}
fail() {
    failed=$((failed + 1))
    printf '  FAIL %s\n' "$*"
}
skip() {
    skipped=$((skipped + 1))
    printf '  skip %s\n' "$*"
}

# stage NAME FOLDER "MESON TEST ARGUMENTS" OPTION...: build there, run the tests there.
stage() {
    local name=$1 dir=$2 which=$3 start=$SECONDS
    shift 3
    printf '%s\n' "$name"
    set_up "$dir" "$@" || { fail "$name: meson setup"; return 1; }
    compile "$dir" || { fail "$name: build, see $dir/compile.log"; return 1; }
    rm -f "$dir/meson-logs/testlog.json"
    # shellcheck disable=SC2086
    meson test -C "$dir" --no-rebuild --num-processes "$(nproc)" $which >"$dir/test.log" 2>&1 </dev/null
    if [ -f "$dir/meson-logs/testlog.json" ]; then
        add "$dir/meson-logs/testlog.json"
    else
        tail -n 20 "$dir/test.log"
        fail "$name: no test ran"
    fi
    printf '  %d s\n' $((SECONDS - start))
}

asan="-Db_sanitize=address,undefined -Db_lundef=false"
stage "release build, gcc" build-test "--suite quick" -Dbuildtype=release
stage "sanitizers" build-san "" $asan

if [ -n "$clang" ]; then
    if command -v clang >/dev/null; then
        CC=clang stage "debug build, clang" build-clang "--suite quick" -Dbuildtype=debugoptimized
    else
        skip "clang build: no clang here"
    fi
fi
if [ -n "$judges" ]; then
    echo "judges"
    [ -z "$long" ] || export SLIPWAY_RANDOM_GRAPHS="${SLIPWAY_RANDOM_GRAPHS:-2000}"
    bash tests/judges/run.sh "$root/build-test/slipway" >build-test/judges.log 2>&1 ||
        echo "FAIL judges: the runner ended with $?" >>build-test/judges.log
    add build-test/judges.log
fi
if [ -n "$long" ]; then
    echo "every allocation failing, fuzzing"
    SLIPWAY_FAIL_ALLOC_STEP=1 stage "every allocation" build-san "fail-alloc" $asan
    bash tests/fuzz/long.sh "${SLIPWAY_FUZZ_SECONDS:-600}" >build-test/fuzz.log 2>&1 ||
        echo "FAIL fuzz: the runner ended with $?" >>build-test/fuzz.log
    add build-test/fuzz.log
fi

[ $passed -gt 0 ] || [ $failed -gt 0 ] || fail "no test ran at all"
if [ $skipped -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
