#!/usr/bin/env bash
# make_corpus.sh - makes tests/fuzz/corpus/onnx: one small model for each thing that a reader meets.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../torture/protobuf.sh"
out=$here/corpus/onnx
mkdir -p "$out"

make() { save "$out/$1.onnx" "$(model "$2" "${3:-17}")"; }
one=0000803f
io="$(input x 1 "2 3")$(output y 1 "2 3")"

make relu "$(nodes "$(node Relu x y)")$io"
make symbols "$(nodes "$(node Relu x y)")$(input x 1 "n 3 -1")$(output y 1 "n 3 -1")"
make old_opset "$(nodes "$(node Relu x y "$(attr_ints consumed_inputs 0)")")$io" 1
make unsorted "$(nodes "$(node Relu a y)" "$(node Neg x a)")$io"
make const_raw "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 3 $one$one$one)")$io"
# float_data, packed, instead of raw bytes
make const_floats "$(nodes "$(node Add 'x w' y)")$(init "$(int 1 3)$(int 2 1)$(bytes 4 $one$one$one)$(string 8 w)")$io"
make const_node "$(nodes "$(node Constant '' w "$(bytes 5 "$(string 1 value)$(bytes 5 "$(tensor w 1 3 $one$one$one)")$(int 20 4)")")" "$(node Add 'x w' y)")$io"
make external "$(nodes "$(node Add 'x w' y)")$(init "$(int 1 3)$(int 2 1)$(string 8 w)$(bytes 13 "$(string 1 location)$(string 2 w.bin)")$(int 14 1)")$io"
make absent "$(nodes "$(node Clip 'x  hi' y)")$(init "$(tensor hi 1 '' $one)")$io"
make foreign "$(nodes "$(node Frobnicate x y "$(attr_int depth 3)$(bytes 5 "$(string 1 mode)$(bytes 4 "$(text soft)")$(int 20 3)")")")$io"
make conv "$(nodes "$(node Conv 'x w' y "$(attr_ints kernel_shape '1 1')$(attr_ints strides '2 2')$(attr_ints pads '0 0 1 1')$(attr_int group 2)")")$(init "$(tensor w 1 '2 1 1 1' $one$one)")$(input x 1 '1 2 4 4')$(output y 1 '1 2 3 3')"
make qdq "$(nodes "$(node QuantizeLinear 'x s z' q)" "$(node DequantizeLinear 'q s z' y)")$(init "$(tensor s 1 '' $one)")$(init "$(tensor z 3 '' 05)")$io"

# subgraphs: a branch is an attribute of type GRAPH (5) in field 6
body() { bytes 1 "$(node "$1" x o)"; string 2 b; bytes 12 "$(value o 1 "2 3")"; }
branch() { bytes 5 "$(string 1 "$1")$(bytes 6 "$2")$(int 20 5)"; }
make if "$(nodes "$(node If c y "$(branch then_branch "$(body Relu)")$(branch else_branch "$(body Neg)")")")$(input c 9 '')$io"
loop="$(nodes "$(node Identity c co)" "$(node Add 'v v' vo)" "$(node Identity v so)")$(string 2 b)$(input i 7 '')$(input c 9 '')$(input v 1 '2 3')$(output co 9 '')$(output vo 1 '2 3')$(output so 1 '2 3')"
make loop "$(nodes "$(node Loop 'n k x' 'y s' "$(branch body "$loop")")")$(init "$(tensor n 7 '' 0300000000000000)")$(init "$(tensor k 9 '' 01)")$io"
nested "$out/nested.onnx" 70
