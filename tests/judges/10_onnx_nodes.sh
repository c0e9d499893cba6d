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

# Large architectures with made-up weights; their input is a ramp (onnx/backend/test/data/light).
"$PY" - "$data/light" "$OUT/light" <<'PYTHON'
import glob, os, sys
import numpy as np, onnx
from onnx import numpy_helper
for path in glob.glob(f'{sys.argv[1]}/*.onnx'):
    model = onnx.load(path)
    case = f'{sys.argv[2]}/{os.path.basename(path)[:-5]}'
    os.makedirs(f'{case}/test_data_set_0')
    os.symlink(path, f'{case}/model.onnx')
    os.symlink(path[:-5] + '_output_0.pb', f'{case}/test_data_set_0/output_0.pb')
    weights = {i.name for i in model.graph.initializer}
    shape = [d.dim_value for i in model.graph.input if i.name not in weights for d in i.type.tensor_type.shape.dim]
    ramp = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / np.float32(np.prod(shape))
    with open(f'{case}/test_data_set_0/input_0.pb', 'wb') as f:
        f.write(numpy_helper.from_array(ramp).SerializeToString())
PYTHON
suite onnx-light "$OUT/light"
exit 0
