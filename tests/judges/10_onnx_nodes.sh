#!/usr/bin/env bash
# 10_onnx_nodes.sh - ONNX's own operator tests through the reader and the reference engine.
#
# A suite passes when no case fails that tests/conformance/onnx_failing.txt does not name; a case that
# is named there and passes must be taken off the list, so that the list only ever shrinks.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
runner=$(dirname "$SLIPWAY")/tests/conformance/onnx_cases
[ -x "$runner" ] || runner=$(dirname "$SLIPWAY")/../../tests/conformance/onnx_cases
[ -x "$runner" ] || { echo "FAIL onnx-nodes: no onnx_cases beside $SLIPWAY"; exit 0; }
known=$here/../conformance/onnx_failing.txt

"$PY" "$SHARED/judges/onnx_node_tests.py" "$OUT/nodes" >&2 || { echo "FAIL onnx-nodes: no cases"; exit 0; }
data=$("$PY" -c 'import onnx, os; print(os.path.dirname(onnx.__file__))')/backend/test/data

suite() { # NAME FOLDER [OPTION...]
    local name=$1 folder=$2 case why bad=0
    shift 2
    "$runner" "$@" "$folder" >"$OUT/said"
    grep '^FAIL ' "$OUT/said" | sed 's/^FAIL //' >"$OUT/failed"
    while IFS=: read -r case why; do
        grep -qx "~\?$case" "$known" && continue
        echo "FAIL $name/$case:$why"
        bad=1
    done <"$OUT/failed"
    grep '^ok ' "$OUT/said" | cut -d' ' -f2 >"$OUT/passed"
    while read -r case why; do
        grep -qx "$case" "$OUT/passed" && { echo "FAIL $name/$case: passes, but $known names it"; bad=1; }
    done < <(grep -v '^[#~]' "$known")
    [ $bad = 0 ] && echo "ok $name: $(sed -n 's/^# //p' "$OUT/said")"
}
suite onnx-nodes "$OUT/nodes"
suite onnx-nodes-rewritten "$OUT/nodes" --rewrite
for set in simple pytorch-operator pytorch-converted; do
    suite "onnx-$set" "$data/$set"
    suite "onnx-$set-rewritten" "$data/$set" --rewrite
done
exit 0
