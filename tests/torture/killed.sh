#!/usr/bin/env bash
# killed.sh SLIPWAY - a conversion that is killed, or whose disk fills up, leaves the old file or the
# whole new one under the output's name, never a part.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh" "$1"
. "$here/protobuf.sh"

# A model of 32 MB, its weights in a file beside it: long enough to be caught in the act.
bytes=$((32 << 20))
weight="$(int 1 $((bytes / 4)))$(int 2 1)$(string 8 w)$(bytes 13 "$(string 1 location)$(string 2 big.bin)")"
weight+="$(bytes 13 "$(string 1 length)$(string 2 $bytes)")$(int 14 1)"
save big.onnx "$(model "$(nodes "$(node Add 'x w' y)")$(init "$weight")$(input x 1 $((bytes / 4)))$(output y 1 $((bytes / 4)))")"
head -c $bytes /dev/zero | tr '\0' 3 >big.bin

# whole FILE: is it one of the two files it may be?
whole() { cmp -s "$1" old || cmp -s "$1" new; }

for suffix in onnx tflite; do
    "$SLIPWAY" convert big.onnx -o new.$suffix >/dev/null 2>err </dev/null || { fail "$suffix: $(head -n 1 err)"; continue; }
    mv new.$suffix new
    printf 'the old file\n' >old
    for signal in KILL TERM; do
        caught=0 wrong=0 left=0
        for delay in 0.001 0.002 0.005 0.01 0.015 0.02 0.03 0.04 0.06 0.08 0.1 0.15; do
            cp old out.$suffix
            # not by kill: the shell's child may not be the program yet
            { timeout -s $signal $delay "$SLIPWAY" convert big.onnx -o out.$suffix >/dev/null 2>err </dev/null; } 2>/dev/null
            whole out.$suffix || wrong=$((wrong + 1))
            cmp -s out.$suffix old && caught=$((caught + 1))
            # only a process that could not clean up may leave its temporary file behind
            [ $signal = KILL ] || left=$((left + $(find . -name '*.tmp' | wc -l)))
            find . -name '*.tmp' -delete
        done
        if [ $wrong != 0 ] || [ $left != 0 ]; then
            fail "$suffix-$signal: $wrong half-written files, $left left behind"
        elif [ $caught = 0 ]; then
            fail "$suffix-$signal: no conversion was caught: the test proves nothing"
        else
            echo "ok killed-$suffix-$signal ($caught of 12 caught)"
        fi
    done
    cp old out.$suffix
    (ulimit -f 20000 && trap '' XFSZ && exec "$SLIPWAY" convert big.onnx -o out.$suffix >/dev/null 2>err </dev/null)
    status=$?
    if [ $status = 1 ] && cmp -s out.$suffix old && [ -z "$(find . -name '*.tmp')" ] && grep -q "out.$suffix" err; then
        echo "ok full-$suffix"
    else
        fail "full-$suffix: ended with $status, $(ls | tr '\n' ' '): $(head -n 1 err)"
    fi
done
exit $failed
