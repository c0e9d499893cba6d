#!/usr/bin/env python3
"""The legalising rewrites before runtimes that know nothing of them.

Small ONNX models, several seeded shapes a rewrite (odd sizes too). Each is converted with `--passes` to ONNX
and to TFLite; ONNX Runtime and LiteRT run what comes out, and must say what ONNX Runtime says of the
original: equal bit for bit where the rewrite only moves elements, else to 1e-5 of the largest. And what the
rewrite promises to remove must be gone from the file.
"""
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import judge
from judge import OUT, SHARED, slipway

F = np.float32


class Net:
    """A model being built: inputs, constants, nodes."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.consts, self.inputs, self.feeds, self.n = [], [], [], {}, 0

    def input(self, *shape, dtype=F, low=None, high=None):
        name = f'x{len(self.inputs)}'
        x = (self.rng.standard_normal(shape) * 2).astype(F) if dtype == F else self.rng.integers(low or 0, high or 5, shape).astype(dtype)
        if low is not None and dtype == F:
            x = self.rng.uniform(low, high, shape).astype(F)
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), shape))
        self.feeds[name] = x
        return name

    def const(self, v, dtype=None):
        self.n += 1
        name = f'c{self.n}'
        v = np.asarray(v, dtype) if dtype is not None else np.asarray(v)
        self.consts.append(numpy_helper.from_array(v, name))
        return name

    def weight(self, *shape):
        return self.const(self.rng.standard_normal(shape).astype(F) / np.sqrt(max(1, np.prod(shape[1:]))), F)

    def ints(self, *v):
        return self.const(np.array(v, np.int64))

    def op(self, kind, *inputs, outputs=1, **attrs):
        self.n += 1
        outs = [f't{self.n}_{i}' for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), outs, **attrs))
        return outs[0] if outputs == 1 else outs

    def reshape(self, x, *dims):
        return self.op('Reshape', x, self.ints(*dims))

    def save(self, path, *outputs):
        outs = [helper.make_tensor_value_info(o, TensorProto.UNDEFINED, None) for o in outputs]
        graph = helper.make_graph(self.nodes, 'g', self.inputs, outs, self.consts)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.save(model, path)


def run_onnx(path, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    net = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return net.run(None, {i.name: feeds[i.name] for i in net.get_inputs()})


def open_tflite(path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    net = Interpreter(model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    net.allocate_tensors()
    return net


def run_tflite(net, feeds):
    for i in net.get_input_details():
        x = feeds[i['name']]
        net.set_tensor(i['index'], x.astype(i['dtype']) if x.dtype == np.int64 else x)
    net.invoke()
    return [net.get_tensor(o['index']) for o in net.get_output_details()]


def onnx_facts(path):
    """Operators, and the greatest rank of what stands between them."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    border = {v.name for v in list(model.graph.input) + list(model.graph.output)}
    ranks = [len(v.type.tensor_type.shape.dim) for v in model.graph.value_info if v.name not in border]
    return [n.op_type for n in model.graph.node], max(ranks, default=0)


def tflite_facts(net):
    border = {t['index'] for t in net.get_input_details() + net.get_output_details()}
    ranks = [len(t['shape']) for t in net.get_tensor_details() if t['index'] not in border]
    return [o['op_name'] for o in net._get_ops_details() if o['op_name'] != 'DELEGATE'], max(ranks, default=0)


def differs(want, got, exact):
    if len(want) != len(got):
        return f'{len(got)} outputs, expected {len(want)}'
    for w, g in zip(want, got):
        g = g.reshape(w.shape) if g.size == w.size else g
        if w.shape != g.shape:
            return f'shape {g.shape}, expected {w.shape}'
        if exact and not np.array_equal(w, g.astype(w.dtype)):
            return f'{np.count_nonzero(w != g)} of {w.size} elements differ'
        top = max(1e-3, float(np.abs(w).max()))
        if not exact and not np.abs(w.astype(np.float64) - g).max() <= 1e-5 * top:
            return f'off by {np.abs(w - g).max()} of {top}'
    return None


def case(name, seed, build, passes, gone=(), rank=None, exact=True, formats=('onnx', 'tflite'), most=None):
    """build(net) returns the outputs; gone: operators that must not be left; rank: the greatest allowed."""
    def work():
        net = Net(seed)
        path = os.path.join(OUT, f'{name.replace(" ", "_")}_{seed}.onnx')
        outputs = build(net)
        net.save(path, *(outputs if isinstance(outputs, tuple) else (outputs,)))
        want = run_onnx(path, net.feeds)
        for form in formats:
            artifact = path[:-5] + '_legal.' + form
            status, _, talk = slipway('convert', path, '-o', artifact, '--passes', passes)
            if status:
                return f'{form}: {talk}'
            if form == 'onnx':
                got, (ops, tall) = run_onnx(artifact, net.feeds), onnx_facts(artifact)
            else:
                lite = open_tflite(artifact)
                ops, tall = tflite_facts(lite)
                got = run_tflite(lite, net.feeds)
            why = differs(want, got, exact)
            left = [o for o in ops if o.upper().replace('_', '') in {g.upper().replace('_', '') for g in gone}]
            if why or left or (rank and tall > rank) or (most and len(ops) > most):
                return f'{form}: {why or ""} left {left}, rank {tall}, operators {ops}'
        return None
    return f'{name} seed {seed}', work


CASES = []


def seeds(name, n, build, *args, **kw):
    for s in range(n):
        CASES.append(case(name, s, build, *args, **kw))


# -- rank ----------------------------------------------------------------------------------------------------
def moves(net):
    """A random reshape, transposition, reshape, twice."""
    sizes = net.rng.permutation([2, 3, 1, 2, 3, 5])[:net.rng.integers(5, 7)]
    x = net.input(int(np.prod(sizes[:2])), int(np.prod(sizes[2:])))
    y = net.reshape(x, *map(int, sizes))
    for _ in range(net.rng.integers(1, 3)):
        y = net.op('Transpose', y, perm=[int(p) for p in net.rng.permutation(len(sizes))])
    return net.reshape(y, int(sizes[0]), -1)


seeds('moves', 8, moves, 'legal-rank', rank=4)
seeds('moves of three dims', 3, moves, 'legal-rank{max=3}', rank=3)


def stitch(net):
    rows, cols, h, w, c = [int(v) for v in net.rng.integers(2, 5, 5)]
    x = net.input(rows * cols, c, h, w)
    y = net.reshape(x, 1, rows, cols, c, h, w)
    y = net.op('Transpose', y, perm=[0, 3, 1, 4, 2, 5])
    return net.op('Conv', net.reshape(y, 1, c, rows * h, cols * w), net.weight(c, c, 1, 1))


seeds('stitched tiles', 3, stitch, 'legal-rank', rank=4, exact=False)


def elementwise(net):
    s = [int(v) for v in net.rng.integers(2, 4, 5)]
    x = net.reshape(net.input(s[0], s[1] * s[2], s[3] * s[4]), *s)
    keep = net.rng.integers(0, 2, 5)
    k = net.reshape(net.input(int(np.prod([d for d, b in zip(s, keep) if b]))), *[d if b else 1 for d, b in zip(s, keep)])
    y = net.op('Add', x, k)
    y = net.op('Mul', y, net.weight(s[3], 1))
    y = net.op('Where', net.op('Greater', y, net.const(F(0))), y, k)
    return net.reshape(net.op('Relu', net.op('Clip', y, net.const(F(-1)), net.const(F(3)))), s[0], -1)


seeds('5-D broadcast', 6, elementwise, 'legal-rank', rank=4)


def axes(net):
    s = [int(v) for v in net.rng.integers(2, 5, 6)]
    x = net.reshape(net.input(s[0] * s[1], s[2] * s[3], s[4] * s[5]), *s)
    y = net.op('Concat', x, net.op('Neg', x), axis=int(net.rng.integers(-6, 6)))
    y = net.op('Slice', y, net.ints(0, 1), net.ints(2**31 - 1, 2**31 - 1), net.ints(1, 4), net.ints(2, 1))
    y = net.op('Pad', y, net.ints(0, 1, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0), net.const(F(0.5)))
    y = net.op('Gather', y, net.ints(1, 0), axis=2)
    return net.op('ReduceMax', net.op('Softmax', y, axis=5), net.ints(1, 3, 5), keepdims=0)


seeds('6-D along axes', 4, axes, 'legal-rank', rank=4, exact=False)


def reduced(net):
    s = [int(v) for v in net.rng.integers(2, 4, 6)]
    x = net.reshape(net.input(s[0] * s[1], s[2] * s[3], s[4] * s[5]), *s)
    a = net.op('ReduceMean', x, net.ints(0, 2, 4), keepdims=1)
    b = net.op('ReduceSum', x, net.ints(1, 3, 5), keepdims=0)
    return net.reshape(net.op('Mul', a, x), s[0], -1), net.op('ReduceMin', x, net.ints(0, 1, 2, 4), keepdims=0), b


seeds('6-D reductions', 3, reduced, 'legal-rank', rank=4, exact=False)


def conv3d(net, depth, stride=1):
    d, h, w = [int(v) for v in net.rng.integers(4, 8, 3)]
    x = net.reshape(net.input(2, 3, d * h, w), 2, 3, d, h, w)
    y = net.op('Conv', x, net.weight(5, 3, depth, 3, 3), net.weight(5), pads=[depth // 2, 1, 0, depth // 2, 1, 1], strides=[stride, 2, 1])
    y = net.op('MaxPool', net.op('Relu', y), kernel_shape=[2, 2, 2], strides=[1, 1, 1])
    y = net.op('AveragePool', y, kernel_shape=[2, 1, 2], strides=[1, 1, 1])
    return net.op('Flatten', y, axis=1)


seeds('3-D convolution of depth 1', 2, lambda n: conv3d(n, 1), 'legal-rank', rank=4, exact=False)
seeds('3-D convolution of depth 3', 3, lambda n: conv3d(n, 3, int(n.rng.integers(1, 3))), 'legal-rank', rank=4, exact=False)


def norm5(net):
    x = net.reshape(net.input(2, 4 * 3, 4, 5), 2, 4, 3, 4, 5)
    y = net.op('InstanceNormalization', x, net.weight(4), net.weight(4))
    y = net.op('LayerNormalization', y, net.weight(4, 5), net.weight(4, 5), axis=-2)
    return net.reshape(net.op('GlobalAveragePool', y), 2, 4)


seeds('5-D normalisation', 2, norm5, 'legal-rank', rank=4, exact=False)


def product5(net):
    x = net.reshape(net.input(2 * 3, 4, 5 * 6), 2, 3, 4, 5, 6)
    y = net.op('MatMul', x, net.weight(6, 7))
    z = net.op('MatMul', y, net.reshape(net.input(2 * 3, 4, 7 * 5), 2, 3, 4, 7, 5))
    return net.reshape(z, 6, -1)


seeds('5-D products', 2, product5, 'legal-rank', rank=4, exact=False)


def shuffles(net):
    """PyTorch's PixelUnshuffle and PixelShuffle, spelled out as it exports them, between convolutions."""
    c, h, w = [int(v) for v in net.rng.integers(1, 4, 3)]
    x = net.input(1, c, 2 * h, 2 * w)
    y = net.op('Transpose', net.reshape(x, 1, c, h, 2, w, 2), perm=[0, 1, 3, 5, 2, 4])
    y = net.op('Conv', net.reshape(y, 1, 4 * c, h, w), net.weight(8, 4 * c, 1, 1), net.weight(8))
    y = net.op('Transpose', net.reshape(y, 1, 2, 2, 2, h, w), perm=[0, 1, 4, 2, 5, 3])
    return net.reshape(y, 1, 2, 2 * h, 2 * w)


seeds('pixel shuffles', 4, shuffles, 'legal-rank', rank=4, exact=False, formats=('tflite',), gone=('GATHER', 'RESHAPE'), most=5)

# -- gathers --------------------------------------------------------------------------------------------------
GATHERS = ('Gather', 'GatherND', 'GatherElements', 'ScatterND', 'GATHER', 'GATHER_ND', 'SCATTER_ND')
LISTS = {
    'range': lambda n, m: np.arange(1, m - 1), 'step': lambda n, m: np.arange(0, m, 2),
    'back': lambda n, m: np.arange(m - 1, -1, -1), 'one': lambda n, m: np.array(-1),
    'doubled': lambda n, m: np.repeat(np.arange(m), 2), 'any': lambda n, m: n.rng.integers(-m, m, 7),
    'order': lambda n, m: n.rng.permutation(m), 'matrix': lambda n, m: np.arange(4).reshape(2, 2),
}
for key, make in LISTS.items():
    seeds(f'gather {key}', 2, lambda n, make=make: (lambda a: n.op(
        'Gather', n.input(3, 7, 5, 6), n.const(np.asarray(make(n, [3, 7, 5, 6][a] if a else 4), np.int64) if a else n.rng.integers(0, 3, 2)), axis=a))(int(n.rng.integers(1, 4))),
        'legal-gather', gone=GATHERS)


def channels(net):
    c = int(net.rng.integers(3, 9))
    x = net.input(1, c, 5, 6)
    y = net.op('Gather', x, net.const(net.rng.permutation(c)), axis=1)
    a = net.op('Conv', y, net.weight(8, c, 3, 3), net.weight(8), pads=[1, 1, 1, 1])
    b = net.op('Gather', a, net.const(net.rng.permutation(8)[:5]), axis=1)
    return net.op('Conv', net.op('Relu', b), net.weight(4, 5, 1, 1))


seeds('channels into weights', 4, channels, 'legal-gather', gone=GATHERS + ('Concat', 'CONCATENATION', 'Slice'), exact=False, most=5)


def gather_nd(net):
    a, b, c = [int(v) for v in net.rng.integers(4, 7, 3)]
    x = net.input(a, b, c)
    grid = np.stack(np.meshgrid(np.arange(1, a - 1), np.arange(0, b, 2), indexing='ij'), -1)
    lone = np.array([[0, 1], [2, 3], [1, 1], [3, 0]])
    fixed = np.array([[[2, i, j] for j in range(c - 1)] for i in range(b)])
    return (net.op('GatherND', x, net.const(grid)), net.op('GatherND', x, net.const(lone)), net.op('GatherND', x, net.const(fixed)))


seeds('gather_nd', 3, gather_nd, 'legal-gather', gone=GATHERS)


def gather_elements(net):
    x = net.input(3, 6, 4)
    k = np.broadcast_to(np.array([1, 3, 5])[None, :, None], (3, 3, 4)).copy()
    return net.op('GatherElements', x, net.const(k), axis=1)


seeds('gather_elements', 1, gather_elements, 'legal-gather', gone=GATHERS, formats=('onnx', 'tflite'))


def lookup(net):
    ids = net.input(1, int(net.rng.integers(1, 4)), dtype=np.int64, low=0, high=11)
    y = net.op('Gather', net.weight(11, 5), ids, axis=0)
    return net.op('Add', y, net.weight(5))


seeds('table lookup', 2, lookup, 'legal-gather', gone=GATHERS)


def scatter(net):
    x, u = net.input(4, 6, 5), net.input(2, 3, 5)
    grid = np.stack(np.meshgrid(np.arange(1, 3), np.arange(2, 5), indexing='ij'), -1)
    zero = net.const(np.zeros((4, 6, 5), F))
    return (net.op('ScatterND', x, net.const(grid), u), net.op('ScatterND', zero, net.const(grid), u),
            net.op('ScatterND', x, net.const(grid), u, reduction='add'))


seeds('scatter_nd', 2, scatter, 'legal-gather', gone=GATHERS)

# -- activations, arithmetic, normalisations --------------------------------------------------------------------
def acts(kinds, ops, gone, exact=False, formats=('onnx', 'tflite')):
    def build(net):
        x = net.input(2, int(net.rng.integers(3, 9)), 5, 7)
        return tuple(k(net, x) for k in kinds)
    return build, f'legal-act{{ops={ops}}}', dict(gone=gone, exact=exact, formats=formats)


for name, (build, passes, kw) in {
    'erf': acts([lambda n, x: n.op('Erf', x)], 'erf', ['Erf']),
    'gelu': acts([lambda n, x: n.op('Mul', n.op('Mul', x, n.const(F(0.5))), n.op('Add', n.op('Erf', n.op('Mul', x, n.const(F(2 ** -0.5)))), n.const(F(1))))],
                 'gelu+erf', ['Erf', 'GELU']),
    'softplus, mish': acts([lambda n, x: n.op('Softplus', x), lambda n, x: n.op('Mish', x)], 'softplus+mish', ['Softplus', 'Mish']),
    'hard ones': acts([lambda n, x: n.op('HardSigmoid', x, alpha=1 / 6), lambda n, x: n.op('HardSwish', x), lambda n, x: n.op('HardSigmoid', x)],
                      'hard_sigmoid+hard_swish', ['HardSigmoid', 'HardSwish', 'HARD_SWISH']),
    'leaky': acts([lambda n, x: n.op('LeakyRelu', x, alpha=0.25), lambda n, x: n.op('PRelu', x, n.weight(7))], 'leaky_relu+prelu',
                  ['LeakyRelu', 'PRelu', 'LEAKY_RELU'], exact=True),
    'elu': acts([lambda n, x: n.op('Elu', x, alpha=0.7), lambda n, x: n.op('Elu', x)], 'elu', ['Elu', 'ELU']),
    'clip': acts([lambda n, x: n.op('Clip', x, n.const(F(0)), n.const(F(6))), lambda n, x: n.op('Clip', x, n.const(F(-0.5)), n.const(F(2)))],
                 'clip+relu6', ['Clip', 'RELU6'], exact=True),
}.items():
    seeds(name, 2, build, passes, **kw)


def arith(net):
    x = net.input(2, 5, 7, low=0.5, high=4)
    a = net.op('Div', x, net.const(F(3)))
    b = net.op('Div', x, net.const(np.array([1, 2, 4, 8, 0.5, 16, 32], F)))
    return a, b, net.op('Pow', x, net.const(F(2))), net.op('Pow', x, net.const(F(3))), net.op('Pow', x, net.const(F(0.5)))


seeds('arithmetic', 2, arith, 'legal-arith{ops=div+pow+square}', gone=('Div', 'Pow', 'SQUARE'), exact=False)
seeds('square roots', 1, lambda n: n.op('Sqrt', n.input(3, 4, low=0, high=4)), 'legal-arith{ops=sqrt}', gone=('SQRT',), exact=False, formats=('tflite',))
seeds('roots', 1, lambda n: n.op('Reciprocal', n.op('Sqrt', n.input(3, 4, low=0.5, high=4))), 'legal-arith{ops=rsqrt}', gone=('RSQRT',), exact=False)


def norms(net):
    c = int(net.rng.integers(1, 4)) * 3
    x = net.input(2, c, 5, 4)
    a = net.op('InstanceNormalization', x, net.weight(c), net.weight(c))
    b = net.op('LayerNormalization', a, net.weight(4), net.weight(4))
    y = net.reshape(b, 2, 3, -1)
    y = net.op('InstanceNormalization', y, net.const(np.ones(3, F)), net.const(np.zeros(3, F)))
    return net.reshape(y, 2, c, 5, 4)


seeds('normalisations', 2, norms, 'legal-norm', gone=('InstanceNormalization', 'LayerNormalization', 'GroupNormalization'), exact=False)


# -- pads, convolutions, means, transpositions, resizing -----------------------------------------------------------
def pads(net):
    x = net.input(1, 3, int(net.rng.integers(4, 7)), 5)
    return tuple(net.op('Pad', x, net.ints(0, 0, 2, 1, 0, 0, 1, 3), mode=m) for m in ('reflect', 'edge', 'wrap'))


seeds('pads', 3, pads, 'legal-pad,legal-tile', gone=('Pad', 'MIRROR_PAD', 'TILE'))


def windows(net):
    h, w = [int(v) for v in net.rng.integers(6, 10, 2)]
    x = net.input(1, 4, h, w)
    y = net.op('Conv', x, net.weight(4, 4, 3, 3), pads=[1, 0, 0, 2], strides=[2, 1])
    return net.op('MaxPool', y, kernel_shape=[3, 3], pads=[0, 1, 2, 1], strides=[1, 1]), net.op('MaxPool', x, kernel_shape=[3, 2], pads=[1, 1, 1, 0], strides=[2, 2])


seeds('asymmetric windows', 3, windows, 'legal-pad{conv=asymmetric max_pool=all}', exact=False)


def grouped(net):
    g = int(net.rng.integers(2, 5))
    x = net.input(2, 2 * g, 7, 6)
    y = net.op('Conv', x, net.weight(3 * g, 2, 3, 3), net.weight(3 * g), group=g, pads=[1, 1, 1, 1])
    return net.op('Conv', net.op('Relu', y), net.weight(6 * g, 1, 3, 3), group=3 * g)


seeds('grouped convolution', 3, grouped, 'legal-group-conv', exact=False)
seeds('grouped convolution, dense', 2, grouped, 'legal-group-conv{as=dense}', exact=False)


def rows(net):
    n, i, o = [int(v) for v in net.rng.integers(2, 9, 3)]
    x = net.input(n, i)
    y = net.op('Gemm', x, net.weight(i, o), net.weight(o))
    z = net.op('MatMul', net.reshape(net.op('Relu', y), 1, n, o), net.weight(o, 5))
    return z


seeds('rows', 2, rows, 'legal-connected', gone=('FULLY_CONNECTED',), exact=False, formats=('tflite',))


def tiles(net):
    x = net.input(3, 1, 4)
    return net.op('Tile', x, net.ints(2, 3, 1)), net.op('Expand', x, net.ints(2, 3, 5, 4))


seeds('tile and expand', 2, tiles, 'legal-tile', gone=('Tile', 'Expand', 'BROADCAST_TO'))


def means(net):
    x = net.input(2, 3, 12, 35)
    return net.op('ReduceMean', x, net.ints(2, 3), keepdims=0), net.op('ReduceMean', net.op('Relu', x), net.ints(3), keepdims=1)


def nhwc_means(net):
    x = net.input(2, 12, 35, 3)
    return net.op('ReduceMean', x, net.ints(1, 2), keepdims=0), net.op('ReduceMean', x, net.ints(2), keepdims=1)


seeds('large means', 1, nhwc_means, 'legal-mean{max=10 side=7}', exact=False, formats=('tflite',))
seeds('large means, channels first', 1, means, 'legal-mean{max=10 side=7 layout=nchw}', gone=('ReduceMean',), exact=False, formats=('onnx',))


def turns(net):
    x = net.input(2, 3, 4, 5)
    return tuple(net.op('Transpose', x, perm=[int(v) for v in net.rng.permutation(4)]) for _ in range(3))


seeds('transpositions in slices', 3, turns, 'legal-transpose{pieces=100}', gone=('Transpose',))
seeds('transpositions of a list', 3, turns, 'legal-transpose{perms=0213+0132 pieces=0}')


def resized(net):
    h, w = [int(v) for v in net.rng.integers(4, 8, 2)]
    x = net.input(1, 3, h, w)
    a = net.op('Resize', x, '', net.const(np.array([1, 1, 1.4, 1.7], F)), mode='linear', coordinate_transformation_mode='half_pixel')
    b = net.op('Resize', x, '', '', net.ints(1, 3, h - 1, w + 2), mode='linear', coordinate_transformation_mode='align_corners')
    c = net.op('Resize', x, '', '', net.ints(1, 3, h + 3, w * 2), mode='nearest', coordinate_transformation_mode='asymmetric', nearest_mode='floor')
    return a, b, c, net.op('Resize', x, '', net.const(np.array([1, 1, 2, 2], F)), mode='cubic')


seeds('resizing', 3, resized, 'legal-resize{keep=none}', gone=('Resize', 'RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR'), exact=False)


def integers(net):
    ids = net.input(1, 6, dtype=np.int64, low=0, high=9)
    y = net.op('Gather', net.weight(12, 4), net.op('Add', ids, net.const(np.int64(3))), axis=0)
    k = net.op('ArgMax', y, axis=2, keepdims=0)
    return net.op('Cast', net.op('Mul', k, ids), to=TensorProto.FLOAT)


seeds('INT64 to INT32', 2, integers, 'legal-int32', formats=('tflite',))


def batch(net):
    n, c = int(net.rng.integers(2, 5)), int(net.rng.integers(2, 5))
    x = net.input(n, c, 8, 9)
    y = net.op('Relu', net.op('Conv', x, net.weight(4, c, 3, 3), net.weight(4), pads=[1, 1, 1, 1], strides=[2, 2]))
    g = net.op('Sigmoid', net.op('Conv', net.op('GlobalAveragePool', y), net.weight(4, 4, 1, 1)))
    y = net.op('Concat', net.op('Mul', y, g), y, axis=1)
    y = net.op('Resize', y, '', net.const(np.array([1, 1, 2, 2], F)), mode='nearest')
    return net.op('Softmax', net.reshape(y, n, -1), axis=1), net.op('ReduceMax', y, net.ints(0), keepdims=0)


seeds('batch of one', 3, batch, 'legal-batch', exact=False)

# -- whole conversions for a target -----------------------------------------------------------------------------------
UVQ = os.path.join(SHARED, 'models', 'workflows', 'uvq')


def verified(original, artifact, least, *more, data='random:5:1'):
    """What verify says of the artifact against the original: None, or why not."""
    status, said, talk = slipway('verify', original, artifact, '--inputs', data, '--min-sqnr', least, '--reference-engine', 'fast', *more)
    return None if status == 0 else f'verify: {said} {talk}'


def fits(path, most, io, integers):
    """Read by LiteRT: rank, operators, inputs; None, or what is wrong."""
    net = open_tflite(path)
    ops, tall = tflite_facts(net)
    tall = max([tall] + [len(t['shape']) for t in net.get_input_details() + net.get_output_details()])
    shapes = [tuple(int(d) for d in t['shape']) for t in net.get_input_details()]
    floats = [o for o in net._get_ops_details() if o['op_name'] not in ('QUANTIZE', 'DEQUANTIZE')
              and any(net._get_tensor_details(int(t), 0)['dtype'] == np.float32 for t in list(o['inputs']) + list(o['outputs']) if t >= 0)]
    inner = [o for o in ops if o not in ('QUANTIZE', 'DEQUANTIZE')]
    if tall > 4 or set(ops) & set(GATHERS) or len(inner) > most or shapes != io or (integers and floats):
        return f'rank {tall}, {len(inner)} operators, inputs {shapes}, float {[o["op_name"] for o in floats]}, {sorted(set(ops))}'
    return None


def uvq(name, io, most, least, *options):
    def work():
        original = os.path.join(UVQ, name + '.onnx')
        artifact = os.path.join(OUT, name + ''.join(options).replace('=', '').replace(',', '_') + '.tflite')
        status, said, talk = slipway('convert', original, '-o', artifact, '--target', 'npu-4d', '--calib', 'random:1:1', *options)
        if status:
            return said + talk
        status, said, talk = slipway('check', artifact, '--target', 'bstm', '--json')
        if status:
            return 'check: ' + said + talk
        return fits(artifact, most, io, True) or verified(original, artifact, least, *options)
    return work


def stitched():
    """The backbone's last layers of nine tiles, put together as the original does: in 6 dims."""
    net = Net(7)
    x = net.input(9, 16, 12, 20, low=-1, high=1)
    y = net.op('Conv', x, net.weight(128, 16, 2, 2), net.weight(128), pads=[0, 0, 1, 1])
    y = net.op('MaxPool', y, kernel_shape=[5, 13])
    y = net.reshape(net.op('Transpose', y, perm=[0, 2, 3, 1]), 1, 3, 3, 8, 8, 128)
    y = net.op('Transpose', y, perm=[0, 1, 3, 2, 4, 5])
    path = os.path.join(OUT, 'stitched.onnx')
    net.save(path, net.reshape(y, 1, 24, 24, 128))
    artifact = path[:-5] + '.tflite'
    status, said, talk = slipway('convert', path, '-o', artifact, '--target', 'npu-4d')
    if status or 'rewrite' not in said:
        return said + talk
    net_ = open_tflite(artifact)
    want = run_onnx(path, net.feeds)
    got = run_tflite(net_, {'x0': net.feeds['x0'].transpose(0, 2, 3, 1)})
    why = differs(want, got, False)
    ops, tall = tflite_facts(net_)
    if why or tall > 4 or ops.count('TRANSPOSE') != 1:
        return f'{why}, rank {tall}, {ops}'
    # the guide's own stitching takes each tile for its mirror: it must not pass here
    wrong = want[0].reshape(3, 8, 3, 8, 128).transpose(0, 3, 2, 1, 4).reshape(want[0].shape)
    return None if differs([wrong], got, False) else 'a wrong stitching passes'


def lone_erf():
    """An erf outside of a GELU, in integers: no float operator is left; a GELU stays one."""
    net = Net(2)
    y = net.op('Conv', net.input(1, 3, 8, 8, low=0, high=1), net.weight(4, 3, 3, 3), net.weight(4))
    g = net.op('Mul', net.op('Mul', y, net.const(F(0.5))), net.op('Add', net.op('Erf', net.op('Mul', y, net.const(F(2 ** -0.5)))), net.const(F(1))))
    path = os.path.join(OUT, 'lone_erf.onnx')
    net.save(path, net.op('Conv', net.op('Erf', g), net.weight(4, 4, 1, 1)))
    artifact = path[:-5] + '.tflite'
    status, said, talk = slipway('convert', path, '-o', artifact, '--target', 'npu-4d', '--calib', 'random:1:8')
    if status:
        return said + talk
    ops, _ = tflite_facts(open_tflite(artifact))
    return (f'{ops}' if 'GELU' not in ops or 'DIV' in ops else None) or fits(artifact, 16, [(1, 8, 8, 3)], True) or verified(path, artifact, 25)


def islands():
    """Operators without an 8-bit kernel in TFLite, one after the other: nothing stays in float."""
    net = Net(4)
    c = lambda x, i: net.op('Conv', x, net.weight(4, i, 3, 3), net.weight(4), pads=[1, 1, 1, 1])
    y = c(net.op('Softplus', c(net.input(1, 3, 8, 8, low=0, high=1), 3)), 4)
    y = c(net.op('Elu', c(net.op('Neg', y), 4)), 4)
    y = c(net.op('Sqrt', net.op('Abs', y)), 4)
    path = os.path.join(OUT, 'islands.onnx')
    net.save(path, net.op('Pow', net.op('Mish', y), net.const(F(3))))
    artifact = path[:-5] + '.tflite'
    status, said, talk = slipway('convert', path, '-o', artifact, '--target', 'npu-4d', '--calib', 'random:1:16')
    return (said + talk if status else None) or fits(artifact, 60, [(1, 8, 8, 3)], True) or verified(path, artifact, 15)


def onnx_target(target):
    def work():
        net = Net(3)
        x = net.input(1, 4, 9, 8)
        y = net.op('Conv', x, net.weight(8, 2, 3, 3), net.weight(8), group=2, pads=[1, 1, 1, 1])
        y = net.op('Mish', net.op('Pad', y, net.ints(0, 0, 1, 1, 0, 0, 1, 1), mode='edge'))
        path, artifact = os.path.join(OUT, f'{target}_src.onnx'), os.path.join(OUT, f'{target}.onnx')
        net.save(path, net.op('Add', net.op('Erf', y), y))
        status, said, talk = slipway('convert', path, '-o', artifact, '--target', target)
        if status:
            return said + talk
        ops, _ = onnx_facts(artifact)
        if set(ops) & {'Erf', 'Mish', 'Softplus', 'Pad'}:
            return f'operators {ops}'
        want, got = run_onnx(path, net.feeds), run_onnx(artifact, net.feeds)
        off = np.abs(want[0] - got[0]).max()  # erf as a tanh
        return None if off <= 4e-4 else f'off by {off}'
    return work


def refused():
    """Two formats at once; a model that cannot be made to fit is written, and told of."""
    path, artifact = os.path.join(OUT, 'refused.onnx'), os.path.join(OUT, 'refused.tflite')
    net = Net(1)
    x = net.input(2, 3, 4, 5, 6)
    net.save(path, net.op('Relu', x))
    status, _, talk = slipway('convert', path, '-o', artifact[:-7] + '.2.onnx', '--target', 'npu-4d')
    if status != 2 or 'npu-4d' not in talk or 'onnx' not in talk or os.path.exists(artifact[:-7] + '.2.onnx'):
        return f'status {status}: {talk}'
    status, said, talk = slipway('convert', path, '-o', artifact, '--target', 'npu-4d')
    if status != 1 or 'rank 5' not in said or 'cure' not in said or not os.path.exists(artifact):
        return f'status {status}: {said} {talk}'
    return None


def in_vela(path):
    """Operators that Vela leaves to the CPU."""
    folder = os.path.join(OUT, 'vela')
    subprocess.run([os.path.join(os.path.dirname(sys.executable), 'vela'), path, '--output-dir', folder], capture_output=True, check=True, timeout=120)
    compiled = os.path.join(folder, os.path.basename(path)[:-7] + '_vela.tflite')
    from ai_edge_litert.schema_py_generated import BuiltinOperator, Model
    names = {v: k for k, v in vars(BuiltinOperator).items() if isinstance(v, int)}
    model = Model.GetRootAs(open(compiled, 'rb').read())
    graph = model.Subgraphs(0)
    codes = [max(model.OperatorCodes(graph.Operators(i).OpcodeIndex()).BuiltinCode(),
                 model.OperatorCodes(graph.Operators(i).OpcodeIndex()).DeprecatedBuiltinCode()) for i in range(graph.OperatorsLength())]
    return [names[c] for c in codes if c != BuiltinOperator.CUSTOM]


def ethos(name, build):
    """Quantised for ethos-u: Vela takes all of it; without the target it does not."""
    def work():
        net = Net(5)
        path = os.path.join(OUT, name + '.onnx')
        net.save(path, build(net))
        left = {}
        for target in (True, False):
            artifact = os.path.join(OUT, name + ('_fits' if target else '_not') + '.tflite')
            words = ['--target', 'ethos-u'] if target else ['--io-layout', 'nhwc']
            status, said, talk = slipway('convert', path, '-o', artifact, '--quantize', 'int8', '--calib', 'random:1:4', '--io-dtype', 'quant', *words)
            if status:
                return said + talk
            left[target] = in_vela(artifact)
            if target:
                why = verified(path, artifact, 18)
                if why:
                    return why
        return None if not left[True] and left[False] else f'left to the CPU: {left[True]}; without --target {left[False]}'
    return work


def conv(n, x, o=4, k=3):
    c = 3 if x.startswith('x') else 4
    return n.op('Conv', x, n.weight(o, c, k, k), n.weight(o), pads=[k // 2] * 4)


ETHOS = {
    'gather': lambda n: conv(n, n.op('Relu', n.op('Gather', n.op('Relu', conv(n, n.input(1, 3, 8, 8))), n.const(np.array([3, 2, 0, 1])), axis=1))),
    'pow': lambda n: n.op('Pow', conv(n, n.input(1, 3, 8, 8)), n.const(F(2))),
    'sqrt': lambda n: n.op('Sqrt', n.op('Add', n.op('Relu', conv(n, n.input(1, 3, 8, 8))), n.const(F(1)))),
    'resize': lambda n: n.op('Resize', conv(n, n.input(1, 3, 8, 8)), '', n.const(np.array([1, 1, 3, 3], F)), mode='linear'),
    'rows': lambda n: n.op('GlobalAveragePool', conv(n, n.input(1, 3, 4200, 2), k=1)),
    'expand': lambda n: n.op('Expand', n.op('GlobalAveragePool', conv(n, n.input(1, 3, 8, 8))), n.ints(1, 4, 3, 3)),
}

CASES += [
    ('target: stitched tiles', stitched),
    ('target: refusals', refused),
    ('target: a lone erf', lone_erf),
    ('target: no float islands', islands),
    ('target: ONNX for snpe-htp', onnx_target('snpe-htp')),
    ('target: ONNX for ort-qnn', onnx_target('ort-qnn')),
]
CASES += [(f'target: ethos-u, {name}', ethos(name, build)) for name, build in ETHOS.items()]
if os.path.isdir(UVQ):
    CASES += [
        ('target: UVQ content', uvq('uvq_content_random', [(1, 256, 256, 3)], 234, 15)),
        ('target: UVQ aggregation', uvq('uvq_aggregation_real', [(1, 8, 8, 128), (1, 24, 24, 128)], 21, 30)),
        ('target: UVQ distortion, one tile', uvq('uvq_distortion_random', [(1, 360, 640, 3)], 235, 15)),
        ('target: UVQ distortion, three tiles', uvq('uvq_distortion_random', [(3, 360, 640, 3)], 235, 15, '--shape', 'x=3,3,360,640')),
        ('target: UVQ distortion, nine tiles', uvq('uvq_distortion_random', [(9, 360, 640, 3)], 235, 15, '--shape', 'x=9,3,360,640')),
    ]
else:
    judge.skip('UVQ', f'no {UVQ}')

# -- end -------------------------------------------------------------------------------------------------------
wanted = os.environ.get('LEGALISE_CASES')
judge.each([c for c in CASES if not wanted or wanted in c[0]])
