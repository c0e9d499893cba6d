#!/usr/bin/env bash
# bad_input.sh SLIPWAY - what a user can get wrong, and what he then reads.
#
# A case is a line: refuse NAME STATUS "TEXT ON STANDARD ERROR" WORD...
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh" "$1"
. "$here/protobuf.sh"

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
    elif [ -n "$text" ] && ! grep -qF -- "$text" err; then
        fail "$name: standard error lacks \"$text\": $(head -n 2 err | tr '\n' ' ')"
    elif compgen -G 'out*' >/dev/null; then
        fail "$name: left $(echo out*)"
    else
        echo "ok $name"
    fi
}

# -- the command line ---------------------------------------------------------------------------
refuse no-command 2 ""
refuse unknown-command 2 'no command "convrt"' convrt
refuse unknown-option 2 "did you mean --output?" convert a.onnx --outptu b.onnx
refuse unknown-letter 2 "no option" convert a.onnx -Z
refuse no-model 2 "something is missing" info
refuse two-models 2 "too many arguments" info a.onnx b.onnx
refuse no-value 2 "needs a value" convert a.onnx -o
refuse not-a-number 2 "whole number" info a.onnx --threads two
refuse not-a-choice 2 "is one of" convert a.onnx -o b.onnx --io-layout nhcw

# -- files --------------------------------------------------------------------------------------
: >empty.onnx
mkdir folder.onnx
printf 'This is no model at all, but a text of some length.\n' >words.onnx
save relu.onnx "$(model "$(nodes "$(node Relu x y)")$(input x 1 "1 3 4 4")$(output y 1 "1 3 4 4")")"
head -c 60 relu.onnx >cut.onnx
refuse missing-file 1 "nowhere.onnx" info nowhere.onnx
refuse folder-as-model 1 "folder.onnx" info folder.onnx
refuse empty-file 1 "empty.onnx" info empty.onnx
refuse foreign-file 3 "words.onnx" info words.onnx
refuse cut-file 1 "cut.onnx" info cut.onnx
refuse no-output 2 "no output file" convert relu.onnx
refuse unknown-suffix 2 "no format" convert relu.onnx -o out.xyz
refuse unwritable-output 1 "nowhere/out.onnx" convert relu.onnx -o nowhere/out.onnx
refuse output-is-folder 1 "folder.onnx" convert relu.onnx -o folder.onnx

# A disk that fills up half-way: the file may grow to one block only.
save big.onnx "$(model "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 4096 "$(printf '%032768d' 0 | tr 0 3)")")$(input x 1 4096)$(output y 1 4096)")"
wrapper() { # NAME 'COMMANDS': a program that runs the real one in its own way
    printf '#!/bin/bash\n%s\n' "${2//SLIPWAY/\"$SLIPWAY\"}" >"$1"
    chmod +x "$1"
}
wrapper full_disk 'ulimit -f 4; trap "" XFSZ; exec SLIPWAY "$@"'
SLIPWAY=./full_disk refuse full-disk 1 "out.onnx" convert big.onnx -o out.onnx
if [ -c /dev/full ]; then
    wrapper full_stdout 'exec SLIPWAY "$@" >/dev/full'
    SLIPWAY=./full_stdout refuse full-stdout 1 "standard output" list ops
fi

# -- ONNX files that are whole but wrong ----------------------------------------------------------
onnx() { # NAME STATUS TEXT PIECES [OPSET]
    save "$1.onnx" "$(model "$4" "${5:-17}")"
    refuse "onnx-$1" "$2" "$3" convert "$1.onnx" -o out.onnx
    # the same as TFLite: another way through the program, the same answer
    refuse "onnx-$1-to-tflite" "$2" "$3" convert "$1.onnx" -o out.tflite
}
io="$(input x 1 "2 3")$(output y 1 "2 3")"
onnx cycle 1 "" "$(nodes "$(node Add 'x b' a)" "$(node Relu a b)" "$(node Relu b y)")$io"
onnx missing-value 1 '"nowhere"' "$(nodes "$(node Add 'x nowhere' y)")$io"
onnx two-producers 1 '"a"' "$(nodes "$(node Relu x a)" "$(node Neg x a)" "$(node Relu a y)")$io"
onnx no-producer-of-output 1 '"y"' "$(nodes "$(node Relu x a)")$io"
onnx wrong-arity 1 "n_y" "$(nodes "$(node Relu 'x x' y)")$io"
onnx too-few 1 "n_y" "$(nodes "$(node Add x y)")$io"
onnx shapes 1 "n_y" "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 4 00000000000000000000000000000000)")$io"
onnx raw-too-short 1 '"w"' "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 3 0000)")$io"
onnx raw-too-long 1 '"w"' "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 1 000000000000000000)")$io"
onnx dims-overflow 1 '"w"' "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 "4294967296 4294967296 3" 0000)")$io"
onnx dims-huge 1 '"w"' "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 "9000000000000000000" 0000)")$io"
onnx rank-nine 1 "" "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 1 "1 1 1 1 1 1 1 1 1" 00000000)")$io"
onnx unknown-dtype 1 '"w"' "$(nodes "$(node Add 'x w' y)")$(init "$(tensor w 99 3 000000000000000000000000)")$io"
onnx bad-perm 1 "n_y" "$(nodes "$(node Transpose x y "$(attr_ints perm '0 5')")")$io"
onnx bad-axis 1 "n_y" "$(nodes "$(node Softmax x y "$(attr_int axis 7)")")$io"
nested nested.onnx 10000
refuse onnx-nested 1 "" info nested.onnx

save unknown.onnx "$(model "$(nodes "$(node Relu x a)" "$(node Frobnicate a b)" "$(node Frobnicate b y)")$io")"
refuse unknown-op 3 "Frobnicate" convert unknown.onnx -o out.tflite
refuse unknown-op-run 3 "Frobnicate" run unknown.onnx --inputs random:1:1 --out out

# -- external data --------------------------------------------------------------------------------
# external LOCATION: a tensor w of two floats that lie in that file
external() {
    local t="$(int 1 2)$(int 2 1)$(string 8 w)"
    t+=$(bytes 13 "$(string 1 location)$(string 2 "$1")")$(bytes 13 "$(string 1 length)$(string 2 8)")$(int 14 1)
    model "$(nodes "$(node Add 'x w' y)")$(init "$t")$(input x 1 2)$(output y 1 2)"
}
mkdir -p ext
printf '\0\0\200\077\0\0\0\100' >secret
printf '\0\0\200\077' >ext/short
ln -s ../secret ext/link
for what in missing:gone climbing:../secret absolute:"$PWD/secret" short:short linked:link; do
    save ext/m.onnx "$(external "${what#*:}")"
    refuse "external-${what%%:*}" 1 "external" convert ext/m.onnx -o out.onnx
done

# -- data -----------------------------------------------------------------------------------------
mkdir data none
printf 'abc' >data/a.raw
refuse no-calibration 2 "calib" convert relu.onnx -o out.tflite --quantize int8
refuse empty-calibration 1 "none" convert relu.onnx -o out.tflite --quantize int8 --calib none
refuse missing-calibration 1 "gone" convert relu.onnx -o out.tflite --quantize int8 --calib gone
refuse short-sample 1 "a.raw" convert relu.onnx -o out.tflite --quantize int8 --calib data
refuse short-input 1 "a.raw" run relu.onnx --inputs data --out out
refuse unknown-input 2 "--input z=" run relu.onnx --input z=data/a.raw --out out
refuse unknown-scheme 2 "int3" convert relu.onnx -o out.tflite --quantize int3 --calib random:1:1
refuse unknown-engine 2 "warp" run relu.onnx --inputs random:1:1 --engine warp --out out
refuse unknown-pass 2 "fuse-everything" opt relu.onnx --passes fuse-everything
refuse target-format 2 "target npu-4d loads tflite files, but -o out.onnx names onnx" convert relu.onnx -o out.onnx --target npu-4d
refuse target-to 2 "but --to onnx names onnx" convert relu.onnx -o out.bin --to onnx --target bstm
refuse target-unknown 2 "npu-5d" convert relu.onnx -o out.tflite --target npu-5d

# -- analysis and comparison ------------------------------------------------------------------------
refuse analyse-without-scheme 2 "--analyse does nothing" convert relu.onnx -o out.onnx --analyse
refuse report-unwritable 1 "nowhere/r.html" quantize relu.onnx --scheme int8 --calib random:1:1 --report nowhere/r.html
printf '{"activation_encodings": {"x": [{"bitwidth": 8, "scale": -1, "offset": 0}]}}' >wrong.json
printf '{"layers": []}' >other.json
refuse diff-wrong-scale 1 "wrong.json" diff relu.onnx wrong.json
refuse diff-other-json 1 "activation_encodings" diff relu.onnx other.json
refuse diff-cut-file 1 "cut.onnx" diff relu.onnx cut.onnx
refuse diff-data-without-model 2 "go together" diff relu.onnx relu.onnx --inputs random:1:1

# -- quantisation -----------------------------------------------------------------------------------
printf 'scheme: int8\nactivations:\n  bitz: 8\n' >key.yaml
printf 'activations:\n  bits: 80\n' >bits.yaml
printf '{"activation_encodings": {"q": [{"bitwidth": 8, "scale": 1, "offset": 0}]}}' >others.json
printf '{"activation_encodings": {"y": [{"bitwidth": 8, "scale": 1, "offset": 5}]}}' >sign.json
sed 's/1,/4,/' others.json >others2.json
printf '{"version": "2.0.0", "activation_encodings": []}' >new.json
q() { refuse "$1" "$2" "$3" quantize relu.onnx -o "out.$4" --calib random:1:1 "${@:5}"; }
q settings-key 1 'line 3: unknown key "bitz"' onnx --settings key.yaml
q settings-limit 2 'bits.yaml, line 2: activations.bits takes a whole number from 4 to 16' onnx --scheme int8 --settings bits.yaml
q settings-missing 1 'nowhere.yaml' onnx --scheme int8 --settings nowhere.yaml
q dispatch-none 2 '"Conv*" matches no node' onnx --scheme int8 --dispatch 'Conv*=float'
q dispatch-precision 2 'there is no precision "w8a61"' onnx --scheme int8 --dispatch Relu=w8a61
q dispatch-syntax 2 'takes PATTERN=PRECISION' onnx --scheme int8 --dispatch Relu
refuse dispatch-idle 2 "--dispatch does nothing with scheme fp16" quantize relu.onnx -o out.onnx --scheme fp16 --dispatch Relu=float
q overrides-foreign 1 'this is no encodings file' onnx --scheme int8 --overrides other.json
q overrides-of-another-model 1 'none of its 1 tensors is one of the model' onnx --scheme int8 --overrides others.json
q overrides-sign 1 'offset 5 is outside [-255, 0] of 8 bits' onnx --scheme int8 --overrides sign.json
q overrides-version 3 'encodings of version 2.0.0' onnx --scheme int8 --overrides new.json
q tflite-wide-weights 3 'TFLite has no kernels for 16-bit weights' tflite --scheme w16a16
q tflite-narrow-bias 3 '32-bit biases only' tflite --scheme int8 --bias-bits 8
q target-widths 3 'scheme w8a16 asks for 16-bit activations with 8-bit weights, but target npu-4d takes' tflite --scheme w8a16 --target npu-4d
q target-dispatch 3 'target npu-4d takes i8 with i8' tflite --scheme int8 --target npu-4d --dispatch Relu=w8a16
q target-mixed 3 'mixed precision: target npu-4d takes i8 with i8' tflite --scheme int8 --target npu-4d --max-high-macs 10
printf 'mixed-precision:\n  allow: float\n' >float.yaml
q target-mixed-float 3 'mixed precision: target npu-4d takes i8 with i8 (activations with weights), no float' tflite --scheme int8 --target npu-4d --max-high-macs 10 --settings float.yaml
q max-drop-unit 2 '--max-drop: mixed-precision.max-drop takes dB from 0 to 200, or points of top-1 as in 1%' onnx --scheme int8 --max-drop 1x
q labels-idle 2 '--labels does nothing without --max-drop P%' onnx --scheme int8 --labels l.csv --max-drop 1
refuse labels-scheme 2 '--labels does nothing with scheme fp16' quantize relu.onnx -o out.onnx --scheme fp16 --labels l.csv
refuse encodings-what 2 "there is no 'encodings shout'" encodings shout others.json
refuse encodings-float 1 "no tensor of this model has an encoding" encodings show relu.onnx
refuse encodings-range 2 "takes NAME=MIN,MAX" encodings set others.json -o out.json --set q=3,2
refuse encodings-diff-one 2 "compares two files" encodings diff others.json
refuse settings-list 2 "there is no scheme" list schemes --settings int3

# -- real models that are meant to be refused -----------------------------------------------------
if [ -d "$SHARED/models/onnx" ]; then
    refuse qonnx 3 "Quant" convert "$SHARED/models/onnx/qonnx_tfc_2w2a.onnx" -o out.tflite
    refuse zipmap 3 "ZipMap" convert "$SHARED/models/onnx/sklearn_lr_zipmap.onnx" -o out.tflite
else
    echo "skip bad-input with real models: no $SHARED/models"
fi
exit $failed
