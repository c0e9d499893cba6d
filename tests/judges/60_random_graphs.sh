#!/usr/bin/env bash
# 60_random_graphs.sh - random small graphs: both engines, and what is written back, against ONNX Runtime.
#
# SLIPWAY_RANDOM_GRAPHS says how many (300 unless told), SLIPWAY_RANDOM_SEED which.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
runner=$(dirname "$SLIPWAY")/tests/conformance/onnx_cases
[ -x "$runner" ] || runner=$(dirname "$SLIPWAY")/../../tests/conformance/onnx_cases
[ -x "$runner" ] || { echo "FAIL random-graphs: no onnx_cases beside $SLIPWAY"; exit 0; }

"$PY" "$here/../../tools/random_graphs.py" "$OUT/graphs" "${SLIPWAY_RANDOM_GRAPHS:-300}" "${SLIPWAY_RANDOM_SEED:-1}" >"$OUT/made" ||
    { echo "FAIL random-graphs: the generator ended with $?"; exit 0; }
sed 's/^/# /' "$OUT/made"

against() { # NAME OPTION...
    local name=$1 case why
    shift
    if "$runner" --quiet "$@" "$OUT/graphs" >"$OUT/said"; then
        echo "ok $name: $(sed -n 's/^# //p' "$OUT/said")"
        return
    fi
    grep '^FAIL ' "$OUT/said" | while IFS=: read -r case why; do
        echo "FAIL $name/${case#FAIL }:$why"
    done
    grep -q '^FAIL ' "$OUT/said" || echo "FAIL $name: the runner ended before it said why"
}
against random-graphs-ref --engine ref
against random-graphs-fast --engine fast
against random-graphs-rewritten --rewrite
