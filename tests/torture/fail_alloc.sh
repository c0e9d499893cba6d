#!/usr/bin/env bash
# fail_alloc.sh SLIPWAY - fail the n-th allocation, n = 1, 2, ..., until the command succeeds.
#
# After the first 30 every seventh is taken, or each with SLIPWAY_FAIL_ALLOC_STEP=1 (test.sh --long).
# Each time: one of our own exit statuses, a diagnostic, no signal, no sanitizer finding, and no
# output file, whole or half.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh" "$1"

step=${SLIPWAY_FAIL_ALLOC_STEP:-7}
torture() {
    local name=$1 n status
    shift
    rm -rf out*
    "$SLIPWAY" "$@" >/dev/null 2>err </dev/null || { fail "$name: ended with $? without any failure: $(tail -n 1 err)"; return; }
    for ((n = 1; n <= 20000; n += n < 30 ? 1 : step)); do
        rm -rf out*
        SLIPWAY_FAIL_ALLOC=$n "$SLIPWAY" "$@" >/dev/null 2>err </dev/null
        status=$?
        found_by_sanitizer err && { fail "$name: allocation $n: $(grep -m1 -E 'Sanitizer|runtime error' err)"; return; }
        if [ $status = 0 ]; then
            [ $n -gt 1 ] || { fail "$name: SLIPWAY_FAIL_ALLOC=1 changed nothing"; return; }
            echo "ok $name (up to $n allocations)"
            return
        fi
        [ $status -ge 1 ] && [ $status -le 4 ] || { fail "$name: allocation $n: ended with $status"; return; }
        [ -s err ] || { fail "$name: allocation $n: status $status without a word"; return; }
        compgen -G 'out*' >/dev/null && [ ! -d out ] && { fail "$name: allocation $n: left $(echo out*)"; return; }
    done
    fail "$name: still failing at allocation $n"
}

model=${SLIPWAY_SOURCE:?}/examples/demo.slip
[ -f "$model" ] || { echo "skip fail_alloc: no examples/demo.slip"; exit 77; }
torture info info "$model"
torture opt opt "$model" -o out.slip --passes canon
torture convert-onnx convert "$model" -o out.onnx
torture convert-tflite convert "$model" -o out.tflite
torture quantize convert "$model" -o out.tflite --quantize int8 --calib random:1:2
"$SLIPWAY" list schemes --settings int8 >s.yaml
"$SLIPWAY" quantize "$model" -o q.onnx --scheme int8 --calib random:1:1 --encodings e.json >/dev/null
grep -q offset e.json || fail "e.json has no encodings"
torture settings quantize "$model" -o out.onnx --settings s.yaml --calib random:1:1 --overrides e.json --encodings e2.json
torture repair quantize "$model" -o out.onnx --scheme int8 --calib random:1:4 --repair auto
printf 'mixed-precision:\n  allow: any\n  samples: 1\n' >mixed.yaml
torture mixed quantize "$model" -o /dev/null --to onnx --scheme int8 --calib random:1:2 --settings mixed.yaml --max-drop 0%
torture encodings encodings set e.json -o out.json --set x=-1,1 --from q.onnx
torture target convert "$model" -o out.tflite --target npu-4d --passes "legal-rank{max=3},legal-gather"
torture run run "$model" --inputs random:1:1 --out out
torture verify verify "$model" "$model" --inputs random:1:1
exit $failed
