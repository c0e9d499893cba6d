#!/usr/bin/env bash
# record.sh SLIPWAY - an artifact says how its inputs and outputs were moved, and verify goes by that,
# also where the dims tell nothing (C = H = W); a record that does not fit is named and passed over.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh" "$1"

cat >cube.slip <<'END'
slip 1
opset 17
graph "cube" (%x : f32[1,3,3,3]) {
  %w = const f32[3,3,1,2] {0x1p+0, 0x1p+1, 0x1.8p+1, 0x1p+2, 0x1.4p+2, -0x1.8p+2, 0x1.cp+2, 0x1p+3, 0x1p+0, -0x1p+1, 0x1.8p+1, 0x1p-2, 0x1.4p+2, 0x1.8p+2, -0x1.cp+2, 0x1p-3, 0x1p+2, 0x1p+1}
  %c = conv(%x, %w) {auto_pad=SAME_UPPER}
  %y = sigmoid(%c)
  yield %y
}
END

# verified NAME OTHER: both ways round, the two are the same network
verified() {
    local name=$1 a b
    for pair in "cube.slip $2" "$2 cube.slip"; do
        set -- $pair
        if ! "$SLIPWAY" verify "$1" "$2" --inputs random:1:3 --min-sqnr "$least" >said 2>err </dev/null; then
            fail "$name: verify $1 $2: $(cat said err | grep -m1 -E 'SQNR|error')"
            return
        fi
    done
    echo "ok $name"
}

for suffix in onnx tflite; do
    least=100
    if ! "$SLIPWAY" convert cube.slip -o nhwc.$suffix --io-layout nhwc >/dev/null 2>err </dev/null; then
        fail "$suffix: $(head -n 1 err)"
        continue
    fi
    verified "record-$suffix" nhwc.$suffix
    # the record survives another conversion, in the other format too
    for other in onnx tflite; do
        "$SLIPWAY" convert nhwc.$suffix -o again.$other >/dev/null 2>err </dev/null || fail "$suffix to $other: $(head -n 1 err)"
        verified "record-$suffix-$other" again.$other
    done
    "$SLIPWAY" convert nhwc.$suffix -o back.$suffix --io-layout nchw >/dev/null 2>err </dev/null || fail "$suffix back: $(head -n 1 err)"
    verified "record-$suffix-back" back.$suffix
    least=20
    "$SLIPWAY" convert cube.slip -o int8.$suffix --io-layout nhwc --quantize int8 --calib random:1:8 >/dev/null 2>err </dev/null ||
        fail "$suffix int8: $(head -n 1 err)"
    verified "record-$suffix-int8" int8.$suffix
done

# damaged NAME FILE FROM TO: the record is edited; the model is read without it, with a warning
damaged() {
    LC_ALL=C sed "s/$3/$4/" "$2" >edited."${2##*.}"
    cmp -s "$2" edited."${2##*.}" && { fail "$1: nothing was edited"; return; }
    if "$SLIPWAY" info edited."${2##*.}" >said 2>err </dev/null && grep -q 'does not fit' err; then
        echo "ok $1"
    else
        fail "$1: $(head -n 2 err | tr '\n' ' ')"
    fi
}
damaged record-repeated-axis nhwc.tflite '^        2,$' '        0,'
damaged record-far-axis nhwc.tflite '^        2,$' '        9,'
damaged record-no-json nhwc.tflite '"inputs": \[' '"inputs": {'
damaged record-no-name nhwc.tflite '"name"' '"nome"'
damaged record-onnx-axes nhwc.onnx '0 2 3 1' '0 2 3 3'
damaged record-onnx-name nhwc.onnx 'slipway.input.x.perm' 'slipway.input.q.perm'
exit $failed
