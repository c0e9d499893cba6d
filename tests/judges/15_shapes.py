#!/usr/bin/env python3
"""Shape inference over ONNX's operator cases: never wrong, and known at least as often as onnx.shape_inference says.

Twice: with the inputs' shapes as the files state them, and with every dim of every input a symbol of its own. A dim counts
as known to onnx when it is a number or a symbol that the inputs have (unk__N, which it makes up, says nothing).
"""
import glob
import os
import re
import subprocess
import sys

import onnx
from onnx import shape_inference

import judge
from judge import OUT, SHARED, SLIPWAY, check


def known(model, symbolic):
    """Dims of the outputs known to onnx.shape_inference with data propagation, and how many there are."""
    ranks = [len(o.type.tensor_type.shape.dim) if o.type.HasField('tensor_type') else 0 for o in model.graph.output]
    names = [o.name for o in model.graph.output]
    for i in model.graph.input if symbolic else ():
        for j, d in enumerate(i.type.tensor_type.shape.dim):
            d.dim_param = f'{i.name}_{j}'
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names)
    try:
        model = shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # nothing is known then
        return 0, sum(ranks)
    dims = [d for o in model.graph.output if o.type.HasField('tensor_type') for d in o.type.tensor_type.shape.dim]
    return sum(d.HasField('dim_value') or bool(d.dim_param) and not d.dim_param.startswith('unk__') for d in dims), sum(ranks)


def main():
    runner = os.path.join(os.path.dirname(SLIPWAY), 'tests', 'conformance', 'shape_cases')
    if not os.path.exists(runner):
        runner = os.path.join(os.path.dirname(SLIPWAY), '..', '..', 'tests', 'conformance', 'shape_cases')
    nodes = os.path.join(OUT, 'nodes')
    subprocess.run([sys.executable, os.path.join(SHARED, 'judges', 'onnx_node_tests.py'), nodes], check=True, stdout=subprocess.DEVNULL)
    said = subprocess.run([runner, nodes], stdout=subprocess.PIPE, text=True).stdout
    for line in said.splitlines():
        if line.startswith('WRONG'):
            judge.fail('shapes/' + line.split()[1].rstrip(':'), line)
    total = re.search(r'(\d+) wrong; of (\d+) result dims known: (\d+) from the file\'s shapes, (\d+) from symbols', said)
    if not check('shapes-never-wrong', total and total.group(1) == '0', said[-300:]):
        return
    for symbolic, ours in ((False, int(total.group(3))), (True, int(total.group(4)))):
        theirs = sum(known(onnx.load(p), symbolic)[0] for p in glob.glob(f'{nodes}/*/model.onnx'))
        how = 'symbols' if symbolic else 'shapes'
        print(f'# from {how}: {ours} of {total.group(2)} dims known, onnx.shape_inference {theirs}')
        check(f'shapes-known-from-{how}', ours >= theirs, f'{ours}, onnx.shape_inference knows {theirs}')


main()
