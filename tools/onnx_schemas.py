#!/usr/bin/env python3
"""Write src/format/onnx/schemas.def: what each version of each ai.onnx operator looks like.

    onnx_schemas.py > src/format/onnx/schemas.def

Facts only, from the Python package onnx: since-version, arity, element types of each input, attributes
with their kinds and defaults. Run again when ONNX brings a new opset.
"""
import sys
import onnx
from onnx import defs

KIND = {"INT": "i", "FLOAT": "f", "STRING": "s", "TENSOR": "t", "GRAPH": "g", "INTS": "I", "FLOATS": "F",
        "STRINGS": "S", "TENSORS": "T", "GRAPHS": "G", "SPARSE_TENSOR": "x", "TYPE_PROTO": "y"}
ELEM = {"float": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "string": 8,
        "bool": 9, "float16": 10, "double": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15,
        "bfloat16": 16, "float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20,
        "uint4": 21, "int4": 22, "float4e2m1": 23, "float8e8m0": 24, "uint2": 25, "int2": 26,
        "float6e2m3": 27, "float6e3m2": 28}


def number(x):
    return repr(round(x, 10)) if isinstance(x, float) else str(x)


def attribute(a):
    kind = KIND[str(a.type).split(".")[-1]]
    text = a.name + ":" + kind
    if a.required:
        return text + "!"
    d = a.default_value
    if d.type == onnx.AttributeProto.INT:
        return f"{text}={d.i}"
    if d.type == onnx.AttributeProto.FLOAT:
        return f"{text}={number(d.f)}"
    if d.type == onnx.AttributeProto.STRING:
        return f"{text}={d.s.decode()}"
    if d.type == onnx.AttributeProto.INTS:
        return f"{text}=" + "/".join(str(i) for i in d.ints)
    return text


def mask(types):
    m = 0
    for t in types:
        if t.startswith("tensor("):
            m |= 1 << ELEM[t[7:-1]]
        else:
            m |= 1
    return m


def main():
    rows = []
    for s in defs.get_all_schemas_with_history():
        if s.domain != "":
            continue
        masks = ",".join("%x" % mask(i.types) for i in s.inputs)
        attrs = ";".join(attribute(s.attributes[k]) for k in sorted(s.attributes))
        rows.append((s.name, s.since_version, int(s.deprecated), s.min_input, min(s.max_input, 65535), s.min_output,
                     min(s.max_output, 65535), masks, attrs))
    print(f"""/* schemas.def - made by tools/onnx_schemas.py from onnx {onnx.__version__}: do not edit.
 * SCHEMA(name, since, deprecated, min_in, max_in, min_out, max_out, types, attributes)
 * types: per input a hex mask, bit n = ONNX element type n, bit 0 = sequences and optionals.
 * attributes: name:kind, then ! (required) or =default; kinds i f s t g, capital: a list.
 * Sorted by name, then since. */
/* clang-format off */""")
    for r in sorted(rows):
        print('SCHEMA("%s", %d, %d, %d, %d, %d, %d, "%s", "%s")' % r)
    print("/* clang-format on */")


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    main()
