"""The analysis of a quantisation, recomputed by ONNX Runtime.

A small net with every kind of error (weights, bias, clipping, rounding, a shared scale) is built once more with
explicit Div/Round/Clip/Mul chains where a kind of error is switched on, with the artifact's scales. Then: a chain of 100 layers costs two whole passes per sample
and no more than its suffixes; the simulation agrees with the artifact it speaks of; what cannot be analysed is
refused.
"""
import json
import os

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, slipway
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
rng = np.random.default_rng(5)
SAMPLES = 3
PARTS = ('weights', 'bias', 'clipping', 'rounding', 'sharing')


def weight(*shape, wild=False):
    w = rng.standard_normal(shape).astype(np.float32) / np.sqrt(np.prod(shape[1:]))
    if wild:
        w *= 2.0 ** rng.integers(-4, 3, (shape[0],) + (1,) * (len(shape) - 1))
    return w.astype(np.float32)


CONST = {'w1': weight(8, 3, 3, 3), 'b1': weight(8), 'w2': weight(8, 8, 1, 1, wild=True), 'b2': weight(8),
         'w3': weight(8, 8, 3, 3), 'b3': weight(8), 'w4': weight(5, 16 * 144), 'b4': weight(5)}
# name of the result, operator, inputs, attributes; the layer's weight and bias
NODES = [('c1', 'Conv', ['x', 'w1', 'b1'], {'pads': [1] * 4}), ('r1', 'Relu', ['c1'], {}),
         ('c2', 'Conv', ['r1', 'w2', 'b2'], {}), ('s', 'Sigmoid', ['c2'], {}), ('m', 'Mul', ['c2', 's'], {}),
         ('c3', 'Conv', ['m', 'w3', 'b3'], {'pads': [1] * 4}), ('a', 'Add', ['r1', 'c3'], {}),
         ('cat', 'Concat', ['a', 'm'], {'axis': 1}), ('f', 'Flatten', ['cat'], {}),
         ('g', 'Gemm', ['f', 'w4', 'b4'], {'transB': 1})]
ROUNDED = {'c1': 'r1', 'c2': 'c2', 's': 's', 'm': 'm', 'c3': 'c3', 'a': 'a', 'g': 'g'}  # layer: where it is seen


def model(nodes, consts, outputs):
    graph = helper.make_graph(nodes, 'net', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 12, 12])],
                              [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs],
                              [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in consts.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


def run(nodes, consts, outputs, samples):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    net = onnxruntime.InferenceSession(model(nodes, consts, outputs).SerializeToString(), options,
                                       providers=['CPUExecutionProvider'])
    return [net.run(None, {'x': x}) for x in samples]


class Build:
    """The net with errors of some kinds in some layers."""

    def __init__(self, scales, layers, parts):
        self.nodes, self.consts, self.n = [], dict(CONST), 0
        self.scales, self.parts = scales, parts
        name = {}  # value as its readers see it
        for out, op, ins, attrs in NODES:
            on = layers is None or out in layers
            ins = list(ins)
            for j, i in enumerate(ins):
                if i in CONST:
                    ins[j] = self.constant(out, i) if on else i
                    continue
                ins[j] = name.get(i, i)
                if on and i == 'x':
                    ins[j] = self.round(ins[j], 'x')
                if on and out == 'cat' and i == 'm':
                    ins[j] = self.round(ins[j], 'cat')
            self.nodes.append(helper.make_node(op, ins, [out], **attrs))
            name[out] = out
            if on and out in ROUNDED and out != 'c1':
                name[out] = self.round(out, out)
            if out == 'r1' and (layers is None or 'c1' in layers):
                name[out] = self.round(out, 'r1')
        self.last = name

    def add(self, op, ins, **attrs):
        self.n += 1
        out = f'q{self.n}'
        self.nodes.append(helper.make_node(op, ins, [out], **attrs))
        return out

    def number(self, v):
        self.n += 1
        self.consts[f'k{self.n}'] = np.float32(v)
        return f'k{self.n}'

    def round(self, v, tensor):
        scale, zero = self.scales[tensor]
        if 'clip' in self.parts and 'round' not in self.parts:
            return self.add('Clip', [v, self.number(-zero * scale), self.number((255 - zero) * scale)])
        if 'round' not in self.parts:
            return v
        s = self.number(scale)
        v = self.add('Round', [self.add('Div', [v, s])])
        if 'clip' in self.parts:
            v = self.add('Clip', [v, self.number(-zero), self.number(255 - zero)])
        return self.add('Mul', [v, s])

    def constant(self, layer, c):
        is_weight = c[0] == 'w'
        if ('weight' if is_weight else 'bias') not in self.parts:
            return c
        w = CONST['w' + c[1]].astype(np.float64)
        per = np.abs(w).reshape(w.shape[0], -1).max(1) if layer not in self.per_tensor else np.full(w.shape[0], np.abs(w).max())
        step = (per / 127).astype(np.float32)
        if is_weight:
            step = step.astype(np.float64).reshape((-1,) + (1,) * (w.ndim - 1))
        else:
            into = {'c1': 'x', 'c2': 'r1', 'c3': 'm', 'g': 'cat'}[layer]
            step = (np.float32(self.scales[into][0]) * step).astype(np.float64)
        name = f'{c}_{layer}_rounded'
        self.consts[name] = (np.rint(CONST[c] / step) * step).astype(np.float32)
        return name


def quantised_input(path):
    graph = onnx.load(path).graph
    number = {t.name: float(numpy_helper.to_array(t)) for t in graph.initializer if not t.dims}
    q = next(n for n in graph.node if n.op_type == 'QuantizeLinear' and n.input[0] == 'x')
    return number[q.input[1]], number[q.input[2]]


def noise(reference, got):
    r, c = (np.concatenate([np.ravel(v) for v in vs]).astype(np.float64) for vs in (reference, got))
    return ((r - c) ** 2).sum() / (r ** 2).sum()


def near(what, ours, theirs, db):
    """Both within db decibels of each other, or both far below what float32 tells."""
    if max(ours, theirs) < 1e-9:
        return None
    if min(ours, theirs) <= 0 or abs(10 * np.log10(ours / theirs)) > db:
        return f'{what}: {ours:.6g}, ONNX Runtime has {theirs:.6g}'


def recompute():
    folder = f'{OUT}/data'
    os.makedirs(folder, exist_ok=True)
    samples = [rng.standard_normal((1, 3, 12, 12)).astype(np.float32) for _ in range(SAMPLES)]
    for i, x in enumerate(samples):
        np.save(f'{folder}/{i}.npy', x)
    plain = [helper.make_node(op, ins, [out], name=out, **attrs) for out, op, ins, attrs in NODES]
    path = f'{OUT}/net.onnx'
    onnx.save(model(plain, CONST, ['g']), path)
    # percentile: something is clipped
    status, text, errors = slipway('quantize', path, '-o', f'{OUT}/net_q.onnx', '--scheme', 'int8', '--method',
                                   'percentile', '--percentile', 99, '--calib', folder, '--analyse', '--json',
                                   '--encodings', f'{OUT}/net.json')
    if status:
        return [('recompute', lambda: errors)]
    ours = json.loads(text)['analysis']
    by = {l['layer']: l for l in ours['layers']}
    encodings = json.load(open(f'{OUT}/net.json'))['activation_encodings']
    scales = {k: (e[0]['scale'], -e[0]['offset']) for k, e in encodings.items()}
    for layer in by.values():  # what the encodings file leaves out
        r = layer['range']
        scales.setdefault(r['tensor'], (r['scale'], r['zero_point']))
    scales.setdefault('cat', scales['a'])
    scales['x'] = quantised_input(f'{OUT}/net_q.onnx')
    Build.per_tensor = {n for n, l in by.items() if l.get('weight_scales') == 1}
    seen = [o for o, *_ in NODES]
    floats = run(plain, CONST, seen, samples)
    value = {o: [f[i] for f in floats] for i, o in enumerate(seen)}
    value['x'] = samples
    everything = ('weight', 'bias', 'clip', 'round')

    def errors_of(layers, parts, where):
        b = Build(scales, layers, parts)
        got = run(b.nodes, b.consts, [b.last[where]], samples)
        return noise(value[where], [g[0] for g in got])

    cases = []
    for name, where in ROUNDED.items():
        cases.append((f'accumulated at {name}', lambda n=name, w=where:
                      near(n, by[n]['accumulated_noise'], errors_of(None, everything, w), 0.1)))
        cases.append((f'isolated {name}', lambda n=name:
                      near(n, by[n]['isolated_noise'], errors_of({n}, everything, 'g'), 0.1)))
    cases.append(('isolated cat', lambda: near('cat', by['cat']['isolated_noise'],
                                               errors_of({'cat'}, everything, 'g'), 0.1)))
    for part, kinds in (('weights', ('weight',)), ('bias', ('bias',)), ('clipping', ('clip',))):
        cases.append((f'the net, {part} alone', lambda p=part, k=kinds:
                      near(p, ours['output_noise'][p], errors_of(None, k, 'g'), 0.1)))
    cases.append(('the net, rounding and sharing', lambda: near(
        'rounding', ours['output_noise']['rounding'] + ours['output_noise']['sharing'],
        errors_of(None, ('round',), 'g'), 0.1)))
    cases.append(('c3, weights alone', lambda: near('c3', by['c3']['own_noise']['weights'],
                                                    errors_of({'c3'}, ('weight',), 'c3'), 0.1)))
    cases.append(('c1, clipping alone', lambda: near('c1', by['c1']['own_noise']['clipping'],
                                                     errors_of({'c1'}, ('clip',), 'r1'), 0.1)))
    cases.append(('sharing is seen where it is', lambda: None if by['cat']['own_noise']['sharing'] > 0
                  and by['c2']['own_noise']['sharing'] == 0 else by['cat']['own_noise']))
    cases.append(('residuals', lambda: residuals(ours)))
    cases.append(('the artifact', lambda: artifact(path, folder, ours)))
    cases.append(('verify --per-layer', lambda: per_layer(path, folder, by)))
    return cases


def residuals(ours):
    for n in [ours['output_noise']] + [l['own_noise'] for l in ours['layers']]:
        if abs(sum(n[p] for p in PARTS) + n['residual'] - n['total']) > 1e-9 * n['total']:
            return f'does not add up: {n}'
    if abs(ours['output_noise']['residual']) > 0.5 * ours['output_noise']['total']:
        return f'half of it is not explained: {ours["output_noise"]}'


def artifact(path, folder, ours):
    status, text, errors = slipway('verify', path, f'{OUT}/net_q.onnx', '--engine', 'fast', '--inputs', folder, '--json')
    if status:
        return errors
    seen = json.loads(text)['candidates'][0]['outputs'][0]['sqnr_db']
    return None if abs(seen - ours['outputs'][0]['sqnr_db']) < 0.2 else f'{seen} dB, said {ours["outputs"][0]["sqnr_db"]}'


def per_layer(path, folder, by):
    """The artifact's own values, as ONNX and as TFLite, stand where the analysis said they would."""
    status, text, errors = slipway('verify', path, f'{OUT}/net_q.onnx', '--engine', 'fast', '--inputs', folder,
                                   '--per-layer', '--json')
    if status:
        return errors
    layers = json.loads(text)['candidates'][0]['layers']
    if [l['sqnr_db'] for l in layers] != sorted(l['sqnr_db'] for l in layers):
        return 'not worst first'
    seen = {l['layer']: l['sqnr_db'] for l in layers}
    for name in ROUNDED:
        said = -10 * np.log10(by[name]['accumulated_noise'])
        if name not in seen:
            return f'{name} is not compared'
        if abs(seen[name] - said) > 0.3:
            return f'{name}: {seen[name]:.2f} dB, said {said:.2f}'
    status, _, errors = slipway('quantize', path, '-o', f'{OUT}/net_q.tflite', '--scheme', 'int8', '--calib', folder)
    status, text, errors = slipway('verify', path, f'{OUT}/net_q.tflite', '--inputs', folder, '--per-layer', '--json')
    if status:
        return errors
    seen = {l['layer']: l['sqnr_db'] for l in json.loads(text)['candidates'][0]['layers']}
    missing = [n for n in ('c2', 's', 'm', 'c3', 'a', 'g') if seen.get(n, 0) < 15]
    return f'as TFLite: {missing} of {seen}' if missing else None


def chain():
    """100 layers of the same cost: two whole passes per sample, suffixes of 50 on the average."""
    layers, samples, consts, nodes, last = 100, 2, {}, [], 'x'
    for i in range(layers):
        consts[f'w{i}'] = weight(16, 3 if i == 0 else 16, 3, 3) * 1.2
        nodes.append(helper.make_node('Conv', [last, f'w{i}'], [f'y{i}'], name=f'layer{i}', pads=[1] * 4))
        last = f'y{i}'
        if i % 10 == 9:
            nodes.append(helper.make_node('Tanh', [last], [f't{i}']))
            last = f't{i}'
    onnx.save(model(nodes, consts, [last]), f'{OUT}/chain.onnx')
    status, text, errors = slipway('quantize', f'{OUT}/chain.onnx', '--scheme', 'int8', '--calib',
                                   f'random:1:{samples}', '--analyse', '--json')
    if status:
        return errors
    a = json.loads(text)['analysis']
    p, n = a['passes'], len(a['layers'])
    if n != layers + layers // 10:
        return f'{n} layers'
    if p['whole'] != 2 * samples:
        return f'{p["whole"]} whole passes for {samples} samples'
    # per sample: 5 for the net's kinds of error, half a pass per layer, five times each layer alone
    work = p['replayed_macs'] / p['macs_of_one'] / samples
    print(f'     100 layers: {p["whole"] / samples:g} whole passes and {work:.1f} passes\' work of suffixes per sample')
    return None if work <= 5 + (n + 1) / 2 + 5 else f'{work:.1f} passes of suffixes'


def refusals():
    graph = helper.make_graph([helper.make_node('Relu', ['x'], ['y'])], 'net',
                              [helper.make_tensor_value_info('x', TensorProto.FLOAT, ['n', 4])],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, ['n', 4])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), f'{OUT}/dyn.onnx')
    os.makedirs(f'{OUT}/dyn', exist_ok=True)
    for i, n in enumerate((2, 3)):
        np.save(f'{OUT}/dyn/{i}.npy', rng.standard_normal((n, 4)).astype(np.float32))
    status, _, errors = slipway('quantize', f'{OUT}/dyn.onnx', '--scheme', 'int8', '--calib', f'{OUT}/dyn', '--analyse')
    if status != 3 or 'other shapes' not in errors:
        return f'samples of two shapes: {status} {errors}'
    status, text, errors = slipway('quantize', f'{OUT}/dyn.onnx', '--scheme', 'int8', '--calib', f'{OUT}/dyn',
                                   '--analyse', '--calib-steps', 1, '--analyse-steps', 1)
    return None if status == 0 and 'exact' not in text.split('\n')[1] else f'one shape: {status} {errors}'


judge.each(recompute() + [('100 layers', chain), ('refusals', refusals)])
