#!/usr/bin/env bash
# make_corpus_tflite.sh SLIPWAY - makes tests/fuzz/corpus/tflite with our own writer: the small ONNX models of the
# corpus that TFLite can hold, and text models for what they lack (pads, quantised tensors, state).
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
slipway=$(realpath "${1:?usage: make_corpus_tflite.sh SLIPWAY}")
out=$here/corpus/tflite
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$out"
for f in "$here"/corpus/onnx/{absent,const_raw,conv,loop,qdq,relu,symbols}.onnx; do
    "$slipway" convert "$f" -o "$out/$(basename "$f" .onnx).tflite"
done
text() {
    cat >"$tmp/$1.slip"
    "$slipway" opt "$tmp/$1.slip" --passes lower-tflite -o "$out/$1.tflite"
}
text window <<'SLIP'
slip 1
graph "window" (%x : f32[1,5,5,2]) {
  %w = const f32[2,3,3,1] {0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0, 0x1p+0}
  %y = conv(%x, %w) {layout=last, group=2, pads=[1,1,1,1], strides=[2,2], act=relu6}
  %z = max_pool(%y) {layout=last, kernel_shape=[2,2], pads=[1,1,0,0]}
  %g = global_average_pool(%z) {layout=last}
  %s = softmax(%g) {axis=3}
  yield %s
}
SLIP
text moves <<'SLIP'
slip 1
graph "moves" (%x : f32[2,3,4]) {
  %p = const i64[6] {0, 1, 0, 0, 0, 1}
  %a = pad(%x, %p)
  %t = transpose(%a) {perm=[0,2,1]}
  %b = concat(%t, %t) {axis=1}
  %c, %d = split(%b) {axis=1, num_outputs=2}
  %k = const f32[4] {0x1p+0, 0x1p+1, 0x1p+0, 0x1p+1}
  %i = const i64[2] {0, 1}
  %e = gather(%c, %i) {axis=2}
  %f = layer_normalization(%d, %k) {axis=2}
  yield %e, %f
}
SLIP
ls -la "$out"
