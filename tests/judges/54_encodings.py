#!/usr/bin/env python3
"""--encodings before the original model, by ONNX and ONNX Runtime: for every real tensor that a node of the original makes,
not from constants alone, there is an entry; where it could not be observed, the program names it. A movement has its operand's
entry. No entry clips: ONNX Runtime computes every tensor of the original on the calibration data, and min-max ranges
hold what they hold, but where a clamp follows that would cut it.
"""
import json
import os
import re

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, SHARED, slipway
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
MOVES = ('Reshape', 'Transpose', 'Identity', 'Squeeze', 'Unsqueeze', 'Flatten')
CLAMPS = ('Relu', 'Clip')
DTYPES = {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64, TensorProto.INT32: np.int32, TensorProto.BOOL: bool}


def shuffle_net():
    """What a converter rewrites: batch norms, channel shuffles, a hard swish and a GELU in parts, an even pad."""
    rng = np.random.default_rng(4)
    nodes, consts = [], {'shape5': np.array([1, 2, 4, 8, 8]), 'shape4': np.array([1, 8, 8, 8])}

    def add(op, out, *ins, **attrs):
        nodes.append(helper.make_node(op, list(ins), [out], name=out, **attrs))
        return out

    def const(name, value):
        consts[name] = np.asarray(value)
        return name

    def conv(x, name, n, m, k=1):
        w = const(name + '.w', rng.standard_normal((m, n, k, k)).astype(np.float32) / k)
        y = add('Conv', name, x, w, pads=[k // 2] * 4)
        bn = [const(f'{name}.bn{i}', v.astype(np.float32)) for i, v in
              enumerate((rng.uniform(0.5, 2, m), rng.standard_normal(m), rng.standard_normal(m), rng.uniform(0.5, 2, m)))]
        return add('BatchNormalization', name + '.norm', y, *bn)

    x = add('Relu', 'stem', conv('x', 'c0', 3, 8, 3))
    for i in range(2):
        x = add('Reshape', f'up{i}', x, 'shape5')
        x = add('Transpose', f'turn{i}', x, perm=[0, 2, 1, 3, 4])
        x = add('Reshape', f'shuffled{i}', x, 'shape4')
        x = conv(x, f'c{i + 1}', 8, 8)
    gate = add('HardSigmoid', 'gate', x, alpha=1 / 6)
    x = add('Mul', 'swish', x, gate)
    x = add('Pad', 'padded', x, const('pads', np.array([0, 0, 1, 1, 0, 0, 1, 1])))
    x = add('AveragePool', 'pool', x, kernel_shape=[3, 3], strides=[2, 2])
    e = add('Erf', 'erf', add('Div', 'scaled', x, const('root2', np.float32(2 ** 0.5))))
    x = add('Mul', 'gelu', add('Mul', 'half', add('Add', 'more', e, const('one', np.float32(1))), x), const('0.5', np.float32(0.5)))
    x = add('Mul', 'y', x, add('Add', 'folded', 'one', '0.5'))
    graph = helper.make_graph(nodes, 'net', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 8, 8])],
                              [helper.make_tensor_value_info(x, TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(v, k) for k, v in consts.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), f'{OUT}/shuffle.onnx')
    return f'{OUT}/shuffle.onnx'


def feeds(graph, constants):
    """Two samples; a batch that is open becomes 1, a length 16, a picture's side 64."""
    rng, samples = np.random.default_rng(6), []
    for _ in range(2):
        sample = {}
        for i in (i for i in graph.input if i.name not in constants):
            t = i.type.tensor_type
            dims = [d.dim_value or (1, 16, 64, 64)[k] for k, d in enumerate(t.shape.dim)]
            dtype = DTYPES[t.elem_type]
            sample[i.name] = rng.standard_normal(dims).astype(dtype) if dtype == np.float32 else rng.integers(0, 2, dims).astype(dtype)
        samples.append(sample)
    return samples


def ranges(model, names, samples):
    """{tensor: (least, greatest)} by ONNX Runtime."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    have = {o.name for o in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in have)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    net = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=['CPUExecutionProvider'])
    seen = {}
    for sample in samples:
        for o, v in zip(net.get_outputs(), net.run(None, sample)):
            if isinstance(v, np.ndarray) and v.dtype == np.float32 and v.size:
                lo, hi = seen.get(o.name, (np.inf, -np.inf))
                seen[o.name] = min(lo, float(v.min())), max(hi, float(v.max()))
    return seen


def from_constants(graph, constants):
    folded = set(constants)
    for n in graph.node:
        if n.op_type == 'Constant' or (n.input and all(not i or i in folded for i in n.input) and not n.op_type.startswith('Random')):
            folded.update(n.output)
    return folded


def judge_one(path, suffix, words, merged=False):
    """merged: from a statistics file, without data: what would have to be observed is left out, by name."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph, constants = model.graph, {i.name for i in model.graph.initializer}
    samples, data = feeds(graph, constants), f'{OUT}/{os.path.basename(path)}.data'
    os.makedirs(data, exist_ok=True)
    for i, s in enumerate(samples):
        np.savez(f'{data}/{i}.npz', **s)
    shapes = [w for k, v in samples[0].items() for w in ('--shape', f'{k}={",".join(map(str, v.shape))}')]
    numbers = ['--calib', data]
    if merged:
        slipway('quantize', path, *numbers, '--to', suffix, '--shard', '0/1', '--stats', f'{OUT}/stats', *shapes, *words)
        numbers = ['--stats', f'{OUT}/stats']
    status, said, talk = slipway('quantize', path, '-o', f'{OUT}/q.{suffix}', *numbers, '--encodings', f'{OUT}/e.json', *shapes, *words)
    if status:
        return f'quantize ended with {status}: {talk[:300]}'
    found = json.load(open(f'{OUT}/e.json'))
    have = {**found['activation_encodings'], **found['param_encodings']}
    left = {t for line in re.findall(r'encodings: left out \d+ \(.*?\): (.*)', said) for t in line.split(', ')}
    sums = re.search(r'encodings: (\d+) of (\d+) original tensors \((\d+) activations, (\d+) params\)', said)
    if [int(sums[k]) for k in (1, 3, 4)] != [len(have), len(found['activation_encodings']), len(found['param_encodings'])]:
        return f'it says "{sums[0]}", the file has {len(have)}'
    kinds = {v.name: v.type.tensor_type.elem_type for v in [*graph.value_info, *graph.output]}
    folded = from_constants(graph, constants)
    made = [o for n in graph.node for o in n.output if o and o not in folded]
    seen = ranges(model, made, samples)
    wanted = [o for o in made if kinds.get(o, 1 if o in seen else 0) == 1]
    missing = [o for o in wanted if o not in have and o not in left]
    if missing:
        return f'{len(missing)} of {len(wanted)} tensors are passed over: {missing[:5]}'
    out = [o for o in wanted if o not in have]
    if bool(out) != merged:
        return f'{len(out)} tensors are left out: {out[:5]}'
    for n in graph.node:
        a, b = (have.get(n.input[0]) if n.input else None), have.get(n.output[0])
        if n.op_type in MOVES and a and b and a != b and n.input[0] not in folded:
            return f'{n.op_type} {n.output[0]}: {b}, its operand has {a}'
    readers = {}
    for n in graph.node:
        for i in n.input:
            readers.setdefault(i, []).append(n)
    cut, far = set(), []
    for n in reversed(graph.node):  # what only a clamp reads, through movements
        for o in n.output:
            r = readers.get(o, [])
            if len(r) == 1 and (r[0].op_type in CLAMPS or (r[0].op_type in (*MOVES, 'BatchNormalization') and r[0].output[0] in cut)):
                cut.add(o)
    ints = 0
    for o in (o for o in wanted if o in have):
        e = have[o][0]
        if e['dtype'] == 'float' or o not in seen:
            continue
        ints += 1
        lo, hi = seen[o]
        if o not in cut and (lo < e['min'] - 1.01 * e['scale'] or hi > e['max'] + 1.01 * e['scale']):
            far.append(f'{o}: {lo:.4g} .. {hi:.4g}, the entry reaches {e["min"]:.4g} .. {e["max"]:.4g}')
    print(f'# {os.path.basename(path)} {suffix} {" ".join(words)}: {sums[0]}; {ints} of {len(wanted)} made by nodes are integers', flush=True)
    return f'{len(far)} entries clip: {far[:3]}' if far else None


NETS = ['fastestdet', 'ultraface_RFB-320', 'yolox_nano', 'ppocrv3_det_en_2023may', 'shufflenet_v2_x0_5_random',
        'mobilenet_v3_small_random', 'bert_toy', 'mnist-8', 'super_resolution_10', 'dtln_model_1', 'rl_go1_policy']
cases = [('shuffle', f'{s}', w) for s in ('onnx', 'tflite') for w in ('--scheme int8', '--scheme int8 --equalize', '--scheme int8 --absorb')]
cases += [('shuffle', 'tflite', '--scheme w8a16 --io-layout nhwc')]
cases += [(n, s, '--scheme int8') for n in NETS for s in ('onnx', 'tflite')]
nets = {n: f'{SHARED}/models/onnx/{n}.onnx' for n in NETS}
nets['shuffle'] = shuffle_net()
cases = [(f'{n} {s} {w}', lambda n=n, s=s, w=w: judge_one(nets[n], s, w.split())) for n, s, w in cases]
cases.append(('shuffle of statistics', lambda: judge_one(nets['shuffle'], 'tflite', ['--scheme', 'int8'], merged=True)))
judge.each(cases)
