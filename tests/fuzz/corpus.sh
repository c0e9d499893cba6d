# corpus.sh - where the inputs of a fuzz target lie. Sourced; corpus READER prints them, one a line.
#
# Ours are small and committed (tests/fuzz/corpus/READER); real models under 300 KB join them when
# they are there.
corpus() {
    [ "$1" = passes ] && set -- onnx # passes are reached through the ONNX reader
    local here=$SLIPWAY_SOURCE/tests/fuzz/corpus/$1 shared=${SLIPWAY_SHARED:-$SLIPWAY_SOURCE/../shared}
    [ -d "$here" ] && find "$here" -type f | sort
    case $1 in
    onnx) set -- "*.onnx" ;;
    tflite) set -- "*.tflite" ;;
    legal) find "$SLIPWAY_SOURCE/tests/ir" -name 'legal_*.slip' | sort; return ;;
    slip) find "$SLIPWAY_SOURCE/tests/ir" "$SLIPWAY_SOURCE/examples" -name '*.slip' | sort; return ;;
    npy) set -- "*.npy" ;;
    pb) set -- "*.pb" ;;
    *) return ;;
    esac
    [ -d "$shared/models" ] && find "$shared/models/" -type f -name "$1" -size -300k -printf "%s %p\n" |
        sort -k1,1nr -k2 | head -n 16 | cut -d" " -f2-
    return 0
}
