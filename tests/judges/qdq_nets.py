"""Small QDQ networks (ONNX) of one operator, at and across the limits of NPUs: operators x attributes x shapes x dtypes
from a seed.

    for net in nets(seed, count):  net.name, net.op, net.model (an onnx.ModelProto), net.inputs ({name: dims})

The input is float, quantised at once; the operator stands between dequantise and quantise, as a quantiser writes it.
"""
import collections

import numpy as np
from onnx import TensorProto, helper, numpy_helper

Net = collections.namedtuple('Net', 'name op model inputs about')
NUMPY = {'u8': np.uint8, 'i8': np.int8, 'u16': np.uint16, 'i16': np.int16, 'i32': np.int32}
MIDDLE = {'u8': 128, 'i8': 0, 'u16': 32768, 'i16': 0}
FLOAT = TensorProto.FLOAT


class Graph:
    """Collects nodes; q() puts a quantise/dequantise pair behind a value, const() a dequantised constant."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype = rng, dtype
        self.nodes, self.constants, self.inputs, self.n = [], [], {}, 0

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def name(self, stem):
        self.n += 1
        return f'{stem}_{self.n}'

    def add(self, array, stem='c'):
        name = self.name(stem)
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def scale_zero(self, scale, zero, dtype):
        scales = np.asarray(scale, np.float32)
        return self.add(scales, 'scale'), self.add(np.full(scales.shape, zero, NUMPY[dtype]), 'zero')

    def q(self, value, scale=None, zero=None, dtype=None):
        dtype = dtype or self.dtype
        if dtype == 'f32':
            return value
        if scale is None:
            scale = 0.02 if dtype in ('u8', 'i8') else 0.0001
        s, z = self.scale_zero(scale, MIDDLE[dtype] if zero is None else zero, dtype)
        stored, back = self.name('q'), self.name('dq')
        self.nodes.append(helper.make_node('QuantizeLinear', [value, s, z], [stored], name=self.name('Q')))
        self.nodes.append(helper.make_node('DequantizeLinear', [stored, s, z], [back], name=self.name('DQ')))
        return back

    def const(self, shape, dtype=None, axis=None, zero=None, scale=0.01):
        """A constant as stored integers behind a dequantise."""
        dtype = dtype or self.dtype
        if dtype == 'f32':
            return self.add(self.rng.standard_normal(shape).astype(np.float32), 'w')
        lo, hi = (0, 200) if dtype[0] == 'u' else (-100, 100)
        stored = self.add(self.rng.integers(lo, hi, shape).astype(NUMPY[dtype]), 'w')
        zero = (MIDDLE[dtype] if dtype[0] == 'u' else 0) if zero is None else zero
        s, z = self.scale_zero(scale if axis is None else [scale] * shape[axis], zero, dtype)
        back = self.name('dq')
        attrs = {} if axis is None else {'axis': axis}
        self.nodes.append(helper.make_node('DequantizeLinear', [stored, s, z], [back], name=self.name('DQ'), **attrs))
        return back

    def input(self, shape, stem='x'):
        name = self.name(stem)
        self.inputs[name] = list(shape)
        return name

    def op(self, kind, operands, n_out=1, **attrs):
        outs = [self.name('y') for _ in range(n_out)]
        self.nodes.append(helper.make_node(kind, operands, outs, name=self.name(kind), **attrs))
        return outs[0] if n_out == 1 else outs


def weights(g, shape, axis):
    """Weights of a product: 8 bits or as drawn, per tensor or per channel."""
    if g.dtype == 'f32':
        return g.const(shape), 'f32'
    dtype = g.pick('i8', 'i8', 'u8', 'i8')
    channel = g.rng.random() < 0.5
    zero = 0 if channel and dtype == 'i8' else None
    return g.const(shape, dtype, axis if channel else None, zero), dtype + (' per channel' if channel else '')


def bias(g, n, per_channel):
    if g.dtype == 'f32':
        return g.const([n])
    scale = (0.02 if g.dtype in ('u8', 'i8') else 0.0001) * 0.01
    return g.const([n], 'i32', 0 if per_channel else None, 0, scale)


def fixed(kind, dtype):
    """(scale, zero point) of results whose range the device fixes; None: no matter."""
    half = {'u16': (1 / 32768, 32768), 'i16': (1 / 32768, 0), 'u8': (1 / 128, 128), 'i8': (1 / 128, 0)}
    unit = {'u16': (1 / 65536, 0), 'i16': (1 / 32768, 0), 'u8': (1 / 256, 0), 'i8': (1 / 256, -128)}
    return {'Tanh': half, 'Sigmoid': unit, 'HardSigmoid': unit, 'Softmax': unit}.get(kind, {}).get(dtype)


def unary(g, kind):
    shape = g.pick([1, 8, 6, 6], [1, 8, 6, 6], [1, 16], [4, 6, 8], [2, 3, 4, 5, 6], [16], [1, 2, 3, 2, 3, 2])
    attrs = {'LeakyRelu': {'alpha': 0.1}, 'HardSigmoid': {'alpha': 1 / 6}}.get(kind, {})
    x = g.q(g.input(shape))
    if kind == 'Clip':
        y = g.op('Clip', [x, g.add(np.float32(0)), g.add(np.float32(6))])
    else:
        if kind in ('Softmax', 'LogSoftmax'):
            attrs = {'axis': g.pick(-1, -1, 1 if len(shape) > 1 else 0)}
        y = g.op(kind, [x], **attrs)
    scale, zero = fixed(kind, g.dtype) or (None, None)
    if g.rng.random() < 0.3:
        scale = zero = None
    return g.q(y, scale, zero), f'{shape} {attrs} {"fixed" if scale else ""}'


def binary(g, kind):
    shape = g.pick([1, 8, 6, 6], [1, 16], [4, 6, 8], [2, 3, 4, 5, 6], [1, 2, 3, 2, 3, 2])
    other = [d if g.rng.random() < 0.7 else 1 for d in shape]
    a = g.q(g.input(shape))
    constant = g.rng.random() < 0.4
    b = g.const(other) if constant else g.q(g.input(other))
    if kind in ('Equal', 'Less', 'Greater', 'LessOrEqual', 'GreaterOrEqual'):
        y = g.op(kind, [a, b])
        return g.q(g.op('Cast', [y], to=FLOAT)), f'{shape} {other}'
    return g.q(g.op(kind, [a, b])), f'{shape} {other} constant={constant}'


def conv(g, kind):
    rank = g.pick(1, 2, 2, 2, 2, 3)
    groups, c, o = g.pick((1, 4, 6), (1, 3, 8), (4, 4, 4), (4, 4, 8), (2, 4, 6))
    k, stride, dilation = g.pick(1, 3, 3, 5), g.pick(1, 1, 2), g.pick(1, 1, 1, 2)
    pads = g.pick([0] * 2 * rank, [k // 2] * 2 * rank, [0] * rank + [1] * rank)
    if kind == 'ConvTranspose':
        dilation = 1
    shape = [c, o // groups] if kind == 'ConvTranspose' else [o, c // groups]
    w, about = weights(g, shape + [k] * rank, 1 if kind == 'ConvTranspose' and groups == 1 else 0)
    x = g.q(g.input([1, c] + [g.pick(9, 12)] * rank))
    operands = [x, w] + ([bias(g, o, 'channel' in about and kind == 'Conv')] if g.rng.random() < 0.8 else [])
    y = g.op(kind, operands, group=groups, strides=[stride] * rank, dilations=[dilation] * rank, pads=pads)
    if g.rng.random() < 0.2:
        y = g.op('Relu', [y])
    return g.q(y), f'{rank}-d groups {groups} of {c}->{o} k{k} s{stride} d{dilation} {pads} {about}'


def product(g, kind):
    n, i, o = g.pick(1, 4), 12, 6
    if kind == 'Gemm':
        trans = g.pick(0, 1)
        w, about = weights(g, [o, i] if trans else [i, o], 0 if trans else 1)
        y = g.op('Gemm', [g.q(g.input([n, i])), w] + ([bias(g, o, 'channel' in about)] if g.rng.random() < 0.8 else []), transB=trans)
        return g.q(y), f'transB={trans} {about}'
    batch = g.pick([], [2], [1, 3], [1, 2, 3], [2, 1, 3, 2])
    if g.rng.random() < 0.5:
        w, about = weights(g, [i, o], 1)
        return g.q(g.op('MatMul', [g.q(g.input(batch + [n, i])), w])), f'{batch} constant {about}'
    return g.q(g.op('MatMul', [g.q(g.input(batch + [n, i])), g.q(g.input(batch + [i, o]))])), f'{batch} two activations'


def pool(g, kind):
    rank = g.pick(1, 2, 2, 2, 3)
    x = g.q(g.input([g.pick(1, 1, 2), 4] + [g.pick(8, 9)] * rank))
    if kind.startswith('Global'):
        return g.q(g.op(kind, [x])), f'{rank}-d'
    k, s, ceil = g.pick(2, 3), g.pick(1, 2), g.pick(0, 0, 1)
    pads = g.pick([0] * 2 * rank, [1] * 2 * rank)
    attrs = {'count_include_pad': g.pick(0, 1)} if kind == 'AveragePool' else {}
    if kind == 'MaxPool' and g.rng.random() < 0.2:
        attrs['dilations'] = [2] * rank
    return g.q(g.op(kind, [x], kernel_shape=[k] * rank, strides=[s] * rank, pads=pads, ceil_mode=ceil, **attrs)), \
        f'{rank}-d k{k} s{s} {pads} ceil {ceil} {attrs}'


def norm(g, kind):
    shape = g.pick([1, 8, 6, 6], [1, 8, 6, 6], [1, 5, 8], [1, 8])
    if kind in ('InstanceNormalization', 'BatchNormalization', 'GroupNormalization', 'LRN') and len(shape) < 3:
        shape = [1, 8, 6]
    x = g.q(g.input(shape))
    if kind == 'LayerNormalization':
        axis = g.pick(-1, -1, 1)
        dims = shape[axis:]
        y = g.op(kind, [x, g.const(dims, scale=0.01), g.const(dims, scale=0.01)][:g.pick(2, 3)], axis=axis)
        return g.q(y), f'{shape} axis {axis}'
    n = [shape[1]]
    if kind == 'LRN':
        return g.q(g.op('LRN', [x], size=3)), f'{shape}'
    if kind == 'LpNormalization':
        axis = g.pick(-1, 1)
        return g.q(g.op(kind, [x], axis=axis, p=g.pick(2, 1))), f'{shape} {axis}'
    if kind == 'BatchNormalization':
        return g.q(g.op(kind, [x, g.const(n), g.const(n), g.const(n), g.const(n, 'u8' if g.dtype != 'f32' else None, zero=0)])), f'{shape}'
    attrs = {'num_groups': 2} if kind == 'GroupNormalization' else {}
    return g.q(g.op(kind, [x, g.const(n), g.const(n)], **attrs)), f'{shape}'


def move(g, kind):
    i64 = lambda *v: g.add(np.asarray(v, np.int64))
    shape = g.pick([1, 8, 6, 4], [1, 8, 6, 4], [8, 6, 4], [2, 8, 6, 4, 2], [1, 2, 8, 6, 4, 2])
    if kind in ('DepthToSpace', 'SpaceToDepth'):
        shape = [1, 8, 6, 4]
    raw = g.input(shape)
    x, rank = g.q(raw), len(shape)
    keep = dict(scale=None, zero=None)
    if kind == 'Transpose':
        perm = [int(p) for p in g.rng.permutation(rank)]
        return g.q(g.op(kind, [x], perm=perm)), f'{shape} {perm}'
    if kind == 'Reshape':
        return g.q(g.op(kind, [x, i64(shape[0], -1)])), f'{shape}'
    if kind == 'Flatten':
        return g.q(g.op(kind, [x], axis=1)), f'{shape}'
    if kind == 'Unsqueeze':
        return g.q(g.op(kind, [x, i64(0)])), f'{shape}'
    if kind == 'Squeeze':
        x = g.q(g.input([1] + shape))
        del g.inputs[raw]
        g.nodes = drop(g.nodes, raw)
        return g.q(g.op(kind, [x, i64(0)])), f'{[1] + shape}'
    if kind == 'Concat':
        axis = g.pick(1, -1)
        other = g.q(g.input(shape))
        return g.q(g.op(kind, [x, other], axis=axis)), f'{shape} {axis}'
    if kind == 'Split':
        a, b = g.op(kind, [x, i64(shape[1] // 2, shape[1] - shape[1] // 2)], 2, axis=1)
        return [g.q(a), g.q(b)], f'{shape}'
    if kind == 'Slice':
        step = g.pick(1, 1, 2, -1)
        return g.q(g.op(kind, [x, i64(-1 if step < 0 else 1), i64(-9 if step < 0 else shape[1]), i64(1), i64(step)])), f'{shape} step {step}'
    if kind == 'Gather':
        return g.q(g.op(kind, [x, i64(0, 2, 1)], axis=1)), f'{shape}'
    if kind == 'GatherElements':
        return g.q(g.op(kind, [x, g.add(np.zeros(shape, np.int64))], axis=1)), f'{shape}'
    if kind == 'GatherND':
        return g.q(g.op(kind, [x, g.add(np.zeros([2, 1], np.int64))])), f'{shape}'
    if kind == 'Tile':
        return g.q(g.op(kind, [x, i64(*[1] * (rank - 1), 2)])), f'{shape}'
    if kind == 'Expand':
        return g.q(g.op(kind, [x, i64(2, *shape)])), f'{shape}'
    if kind in ('DepthToSpace', 'SpaceToDepth'):
        attrs = {'mode': g.pick('DCR', 'CRD')} if kind == 'DepthToSpace' else {}
        return g.q(g.op(kind, [x], blocksize=2, **attrs)), f'{attrs}'
    if kind == 'Pad':
        mode, where = g.pick('constant', 'constant', 'reflect', 'edge', 'wrap'), g.pick(rank - 1, rank - 2, 1)
        pads = [0] * 2 * rank
        pads[where], pads[rank + where] = 1, 2
        value = [g.add(np.float32(0))] if mode == 'constant' else []
        return g.q(g.op(kind, [x, i64(*pads)] + value, mode=mode)), f'{shape} {mode} {where}'
    if kind == 'Resize':
        shape4 = [1, 4, 6, 5] if rank != 3 else [1, 4, 6]
        g.nodes, g.inputs = drop(g.nodes, raw), {}
        x = g.q(g.input(shape4))
        mode, coord = g.pick('nearest', 'linear', 'linear', 'cubic'), g.pick('half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel')
        near, f = g.pick('round_prefer_floor', 'floor'), g.pick(2.0, 2.0, 3.0, 1.6, 1.4, 0.5)
        attrs = {'nearest_mode': near} if mode == 'nearest' else {}
        y = g.op(kind, [x, '', g.add(np.asarray([1, 1] + [f] * (len(shape4) - 2), np.float32))], mode=mode, coordinate_transformation_mode=coord, **attrs)
        return g.q(y), f'{shape4} {mode} {coord} {attrs} x{f}'
    if kind == 'Where':
        other = g.q(g.input(shape))
        return g.q(g.op(kind, [g.add(g.rng.integers(0, 2, shape).astype(bool)), x, other])), f'{shape}'
    raise KeyError(kind)


def drop(nodes, raw):
    """Without the pair behind an input that is not wanted after all."""
    gone = {raw}
    kept = []
    for n in nodes:
        if n.input and n.input[0] in gone:
            gone |= set(n.output)
        else:
            kept.append(n)
    return kept


def reduce(g, kind):
    shape = g.pick([1, 8, 6, 4], [1, 8, 6, 4], [8, 6, 4], [2, 8, 6, 4, 2], [1, 8])
    rank = len(shape)
    x = g.q(g.input(shape))
    keep = g.pick(0, 1)
    if kind in ('ArgMax', 'ArgMin'):
        axis = g.pick(-1, 1)
        y = g.op(kind, [x], axis=axis, keepdims=keep)
        return g.op('Cast', [y], to=FLOAT) if g.pick(0, 1) else y, f'{shape} {axis}'
    if kind == 'CumSum':
        return g.q(g.op(kind, [x, g.add(np.asarray(1, np.int64))])), f'{shape}'
    if kind == 'TopK':
        y, at = g.op(kind, [x, g.add(np.asarray([2], np.int64))], 2, axis=g.pick(-1, 1))
        return [g.q(y), at], f'{shape}'
    axes = g.pick([rank - 1], [rank - 2, rank - 1] if rank > 2 else [1], list(range(1, rank)), list(range(rank)))
    return g.q(g.op(kind, [x, g.add(np.asarray(axes, np.int64))], keepdims=keep)), f'{shape} {axes} keep {keep}'


def prelu(g, kind):
    shape = g.pick([1, 8, 6, 4], [1, 8])
    return g.q(g.op('PRelu', [g.q(g.input(shape)), g.const([8] + [1] * (len(shape) - 2))])), f'{shape}'


def requantise(g, kind):
    x = g.q(g.input([1, 8, 6, 4]))
    if g.dtype == 'f32':
        return g.op('Relu', [x]), 'relu'
    other = g.pick('u8', 'u16', 'i8', 'i16')
    return g.q(g.q(x, 0.05, None, other), 0.04), f'to {other}'


KINDS = {
    unary: 'Abs Neg Relu Sigmoid Tanh HardSigmoid HardSwish Gelu Elu Exp Log Sqrt Erf Softplus Sin Cos Floor Ceil Round Sign '
           'LeakyRelu Clip Softmax LogSoftmax Reciprocal Mish Atan Asin Softsign Selu ThresholdedRelu Tan',
    binary: 'Add Sub Mul Div Pow Max Min Mod Equal Less Greater',
    conv: 'Conv Conv Conv Conv ConvTranspose ConvTranspose', product: 'Gemm MatMul MatMul',
    pool: 'AveragePool MaxPool GlobalAveragePool GlobalMaxPool',
    norm: 'LayerNormalization InstanceNormalization BatchNormalization GroupNormalization LRN LpNormalization',
    move: 'Transpose Reshape Flatten Unsqueeze Squeeze Concat Split Slice Gather GatherElements GatherND Tile Expand '
          'DepthToSpace SpaceToDepth Pad Pad Resize Resize Resize Where',
    reduce: 'ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL2 ArgMax ArgMin CumSum TopK',
    prelu: 'PRelu', requantise: 'Requantise'}
ALL = [(make, op) for make, ops in KINDS.items() for op in ops.split()]


def nets(seed, count, only=None, dtypes=('u8', 'u8', 'u16', 'u16', 'i8', 'i16')):
    kinds = [k for k in ALL if not only or k[1] in only]
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        make, op = kinds[k % len(kinds)]
        g = Graph(rng, dtypes[rng.integers(len(dtypes))])
        y, about = make(g, op)
        outs = y if isinstance(y, list) else [y]
        wide = lambda n: TensorProto.INT64 if any(n in x.output and x.op_type in ('ArgMax', 'ArgMin', 'TopK') for x in g.nodes) else FLOAT
        graph = helper.make_graph(g.nodes, 'net', [helper.make_tensor_value_info(n, FLOAT, d) for n, d in g.inputs.items()],
                                  [helper.make_tensor_value_info(n, wide(n), None) for n in outs], g.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 21)], ir_version=10)
        yield Net(f'{op.lower()}_{k}', op, model, g.inputs, f'{g.dtype} {about}')
