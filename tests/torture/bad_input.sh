#!/usr/bin/env bash
# bad_input.sh SLIPWAY - what a user can get wrong, and what he then reads.
#
# A case is a line: refuse NAME STATUS "TEXT ON STANDARD ERROR" WORD...
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$1"

refuse() {
    local name=$1 want=$2 text=$3 status
    shift 3
    rm -rf out*
    timeout 60 "$SLIPWAY" "$@" >said 2>err </dev/null
    status=$?
    if found_by_sanitizer err; then
        fail "$name: $(grep -m1 -E 'Sanitizer|runtime error' err)"
    elif [ $status != "$want" ]; then
        fail "$name: ended with $status, expected $want: $(head -n 2 err | tr '\n' ' ')"
    elif ! grep -qF -- "$text" err; then
        fail "$name: standard error lacks \"$text\": $(head -n 2 err | tr '\n' ' ')"
    elif compgen -G 'out*' >/dev/null; then
        fail "$name: left $(echo out*)"
    else
        echo "ok $name"
    fi
}
