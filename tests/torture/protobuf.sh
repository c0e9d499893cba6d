# protobuf.sh - writes small ONNX files byte by byte, right ones and wrong ones. Sourced.
#
# Everything is a string of hexadecimal digits until save turns it into a file. The field numbers
# are those of onnx.proto.

text() { printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n'; }

# varint N, for 0 <= N < 2^63; minus_one is -1 as int64.
varint() {
    local n=$1 out=
    while ((n > 127)); do
        out+=$(printf '%02x' $((n & 127 | 128)))
        n=$((n >> 7))
    done
    printf '%s%02x' "$out" "$n"
}
minus_one=ffffffffffffffffff01

# int FIELD N, bytes FIELD HEX, string FIELD TEXT
int() { printf '%s%s' "$(varint $(($1 << 3)))" "$(varint "$2")"; }
bytes() { printf '%s%s%s' "$(varint $(($1 << 3 | 2)))" "$(varint $((${#2} / 2)))" "$2"; }
string() { bytes "$1" "$(text "$2")"; }

# dims "1 3 x"...: TensorShapeProto; value NAME ELEM_TYPE "DIMS": ValueInfoProto
dims() {
    local d out=
    for d in $1; do
        case $d in
        -1) out+=$(bytes 1 "08$minus_one") ;;
        [0-9]*) out+=$(bytes 1 "$(int 1 "$d")") ;;
        *) out+=$(bytes 1 "$(string 2 "$d")") ;;
        esac
    done
    printf '%s' "$out"
}
value() { string 1 "$1"; bytes 2 "$(bytes 1 "$(int 1 "$2")$(bytes 2 "$(dims "$3")")")"; }

# node OP "INPUTS" "OUTPUTS" [ATTRIBUTES_HEX]: NodeProto, named n_<first output>
node() {
    local x
    for x in $2; do string 1 "$x"; done
    for x in $3; do string 2 "$x"; done
    string 3 "n_${3%% *}"
    string 4 "$1"
    printf '%s' "${4:-}"
}
# attr_int NAME N, attr_ints NAME "N ..."
attr_int() { bytes 5 "$(string 1 "$1")$(int 3 "$2")$(int 20 2)"; }
attr_ints() {
    local n out=
    for n in $2; do out+=$(int 8 "$n"); done
    bytes 5 "$(string 1 "$1")$out$(int 20 7)"
}
# tensor NAME ELEM_TYPE "DIMS" RAW_HEX: TensorProto
tensor() {
    local d
    for d in $3; do int 1 "$d"; done
    int 2 "$2"
    string 8 "$1"
    bytes 9 "$4"
}
# graph HEX...: GraphProto pieces; model PIECES [OPSET]: ModelProto
nodes() { local x; for x; do bytes 1 "$x"; done; }
init() { bytes 5 "$1"; }
input() { bytes 11 "$(value "$@")"; }
output() { bytes 12 "$(value "$@")"; }
model() { int 1 8; bytes 7 "$(string 2 g)$1"; bytes 8 "$(int 2 "${2:-17}")"; }

# save FILE HEX
save() { printf '%b' "$(printf '%s' "$2" | sed 's/../\\x&/g')" >"$1"; }

# nested FILE DEPTH: an If within the then-branch of an If ...; lengths are made from the inside out.
nested() {
    printf '%b' "$(awk -v depth="$2" '
    function vlen(n,  k) { for (k = 1; n > 127; k++) n = int(n / 128); return k }
    function varint(n,  s) {
        for (; n > 127; n = int(n / 128)) s = s sprintf("\\x%02x", n % 128 + 128)
        return s sprintf("\\x%02x", n)
    }
    BEGIN {
        inner = 0
        for (d = 1; d <= depth; d++) {               # 1 is the innermost
            graph[d] = inner
            attr[d] = 13 + 3 + 1 + vlen(inner) + inner   # name, type, graph
            node = 10 + 1 + vlen(attr[d]) + attr[d]      # input, output, op_type, attribute
            inner = 1 + vlen(node) + node
            nodes[d] = node
        }
        printf "\\x08\\x08\\x42\\x02\\x10\\x11\\x3a%s", varint(inner)
        for (d = depth; d >= 1; d--) {
            printf "\\x0a%s\\x0a\\x01c\\x12\\x01o\\x22\\x02If\\x2a%s", varint(nodes[d]), varint(attr[d])
            printf "\\x0a\\x0bthen_branch\\xa0\\x01\\x05\\x32%s", varint(graph[d])
        }
    }')" >"$1"
}
