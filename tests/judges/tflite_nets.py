"""Small quantised TFLite networks of one operator, at and across the limits of devices: operators x attributes x
shapes x dtypes from a seed. Written with the schema module of LiteRT, so that a reader and writer of ours play no part.

    for net in nets(seed, count):  net.name, net.op, net.data (the file's bytes), net.result (name of the result)
"""
import collections

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s

Net = collections.namedtuple('Net', 'name op data result')
TYPES = {'i8': (s.TensorType.INT8, np.int8), 'u8': (s.TensorType.UINT8, np.uint8), 'i16': (s.TensorType.INT16, np.int16),
         'i32': (s.TensorType.INT32, np.int32), 'i64': (s.TensorType.INT64, np.int64),
         'f32': (s.TensorType.FLOAT32, np.float32), 'bool': (s.TensorType.BOOL, np.bool_)}
# code, class of its options, for every operator made here
CODES = {k: v for k, v in vars(s.BuiltinOperator).items() if not k.startswith('_')}
OPTIONS = {
    'ADD': 'Add', 'SUB': 'Sub', 'MUL': 'Mul', 'DIV': 'Div', 'CONV_2D': 'Conv2D', 'DEPTHWISE_CONV_2D': 'DepthwiseConv2D',
    'AVERAGE_POOL_2D': 'Pool2D', 'MAX_POOL_2D': 'Pool2D', 'FULLY_CONNECTED': 'FullyConnected', 'SOFTMAX': 'Softmax',
    'RESHAPE': 'Reshape', 'CONCATENATION': 'Concatenation', 'RESIZE_BILINEAR': 'ResizeBilinear',
    'RESIZE_NEAREST_NEIGHBOR': 'ResizeNearestNeighbor', 'MEAN': 'Reducer', 'SUM': 'Reducer', 'REDUCE_MAX': 'Reducer',
    'REDUCE_MIN': 'Reducer', 'REDUCE_PROD': 'Reducer', 'STRIDED_SLICE': 'StridedSlice', 'SPLIT': 'Split',
    'SPLIT_V': 'SplitV', 'PACK': 'Pack', 'UNPACK': 'Unpack', 'LEAKY_RELU': 'LeakyRelu', 'TRANSPOSE_CONV': 'TransposeConv',
    'BATCH_MATMUL': 'BatchMatMul', 'GELU': 'Gelu', 'SQUEEZE': 'Squeeze', 'EXPAND_DIMS': 'ExpandDims', 'ARG_MAX': 'ArgMax',
    'MIRROR_PAD': 'MirrorPad', 'GATHER': 'Gather', 'CAST': 'Cast', 'DEPTH_TO_SPACE': 'DepthToSpace',
    'SPACE_TO_DEPTH': 'SpaceToDepth', 'MAXIMUM': 'MaximumMinimum', 'MINIMUM': 'MaximumMinimum',
    'SQUARED_DIFFERENCE': 'SquaredDifference', 'L2_NORMALIZATION': 'L2Norm', 'ARG_MIN': 'ArgMin'}
NONE, RELU = s.ActivationFunctionType.NONE, s.ActivationFunctionType.RELU


class T:
    """A tensor: dims, stored type, scale (None: no quantisation; a list: one a channel along axis), zero point, data."""

    def __init__(self, shape, dtype='i8', scale=0.05, zero=0, data=None, axis=0, name=None, signature=None):
        self.shape, self.dtype, self.scale, self.zero, self.data, self.axis = list(shape), dtype, scale, zero, data, axis
        self.name, self.signature = name, signature


def ints(values, dtype='i32'):
    v = np.asarray(values, TYPES[dtype][1])
    return T(v.shape, dtype, None, data=v)


def build(op, inputs, outputs, options=None):
    model = s.ModelT()
    model.version, model.description = 3, 'generated'
    model.buffers = [s.BufferT()]
    graph = s.SubGraphT()
    graph.name, graph.tensors, graph.inputs, graph.outputs = 'main', [], [], []
    for t in [x for x in inputs if x is not None] + outputs:
        x = s.TensorT()
        x.shape, x.type = t.shape, TYPES[t.dtype][0]
        x.name = t.name or f't{len(graph.tensors)}'
        if t.signature:
            x.shapeSignature = t.signature
        x.hasRank = True
        if t.data is not None:
            b = s.BufferT()
            b.data = np.frombuffer(np.ascontiguousarray(t.data).tobytes(), np.uint8)
            x.buffer = len(model.buffers)
            model.buffers.append(b)
        if t.scale is not None:
            q = s.QuantizationParametersT()
            scales = t.scale if isinstance(t.scale, list) else [t.scale]
            q.scale = np.asarray(scales, np.float32)
            q.zeroPoint = np.full(len(scales), t.zero, np.int64)
            q.quantizedDimension = t.axis if len(scales) > 1 else 0
            x.quantization = q
        t.index = len(graph.tensors)
        graph.tensors.append(x)
    o = s.OperatorT()
    o.inputs = [-1 if x is None else x.index for x in inputs]
    o.outputs = [x.index for x in outputs]
    graph.inputs = [x.index for x in inputs if x is not None and x.data is None]
    graph.outputs = o.outputs
    if op in OPTIONS:
        kind = OPTIONS[op] + 'Options'
        o.builtinOptionsType = getattr(s.BuiltinOptions, kind)
        o.builtinOptions = getattr(s, kind + 'T')()
        for k, v in (options or {}).items():
            assert hasattr(o.builtinOptions, k), (kind, k)
            setattr(o.builtinOptions, k, v)
    graph.operators = [o]
    code = s.OperatorCodeT()
    code.builtinCode = CODES[op]
    code.deprecatedBuiltinCode = min(CODES[op], 127)
    code.version = 1
    model.operatorCodes, model.subgraphs = [code], [graph]
    b = flatbuffers.Builder(1 << 12)
    b.Finish(model.Pack(b), file_identifier=b'TFL3')
    return bytes(b.Output())


class Maker:
    """Draws one network of an operator. pick() draws from a list; every list reaches across a limit."""

    def __init__(self, rng):
        self.rng = rng

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def dtype(self, *more):
        return self.pick('i8', 'i8', 'i8', 'u8', 'i16', *more)

    def zero(self, dtype):
        return {'i8': self.pick(-128, -3, 0, 17), 'u8': self.pick(0, 5, 128)}.get(dtype, 0)

    def scale(self):
        return float(np.float32(self.pick(0.003, 0.0078125, 0.05, 0.1)))

    def act(self, shape, dtype=None, **k):
        dtype = dtype or self.dtype()
        k.setdefault('scale', None if dtype == 'f32' or self.rng.random() < 0.02 else self.scale())
        k.setdefault('zero', self.zero(dtype))
        return T(shape, dtype, **k)

    def shape(self, rank=None, most=9):
        return [1] * (rank is None or rank > 3) + [int(x) for x in self.rng.integers(1, most, (rank or 4) - (rank is None or rank > 3))]

    def weights(self, shape, dtype, axis, channels):
        wide = 'u8' if dtype == 'u8' else 'i8'
        scale = 0.01 if wide == 'u8' or self.rng.random() < 0.3 else [0.01] * channels
        return T(shape, wide, scale, self.zero('u8') if wide == 'u8' else 0, self.rng.integers(0, 100, shape).astype(TYPES[wide][1]), axis)

    def bias(self, n, dtype, x):
        kind = 'f32' if dtype == 'f32' else self.pick('i64', 'i32') if dtype == 'i16' else 'i32'
        return T([n], kind, x.scale * 0.01 if x.scale else None, data=np.zeros(n, TYPES[kind][1])) if self.rng.random() < 0.8 else None

    # -- operators: each returns (inputs, outputs, options) --------------------------------------------
    def unary(self, op):
        dtype = self.dtype('i32', 'f32') if op in ('ABS', 'NEG', 'SQUARE') else self.dtype('f32')
        shape = self.shape(self.pick(None, 1, 2, 3, 4, 4, 5))
        x = self.act(shape, dtype)
        other = self.pick('i8', 'u8', 'i16') if self.rng.random() < 0.15 and dtype in ('i8', 'u8', 'i16') else dtype
        y = self.act(shape, other)
        return [x], [y], {'alpha': 0.1} if op == 'LEAKY_RELU' else {}

    def binary(self, op):
        dtype = self.dtype('i32', 'f32')
        shape = self.shape(self.pick(None, 1, 2, 3, 4, 5))
        other = [int(d) if self.rng.random() < 0.7 else 1 for d in shape]
        a, b, y = self.act(shape, dtype), self.act(other, dtype), self.act(shape, dtype)
        if self.rng.random() < 0.5:
            b.scale, b.zero, y.scale, y.zero = a.scale, a.zero, a.scale, a.zero
        if self.rng.random() < 0.25:
            b.data = self.rng.integers(0, 100, other).astype(TYPES[dtype][1])
        return [a, b], [y], {'fusedActivationFunction': self.pick(NONE, RELU)} if op in ('ADD', 'SUB', 'MUL') else {}

    def conv(self, op):
        dtype = self.dtype('f32')
        depthwise = op == 'DEPTHWISE_CONV_2D'
        kh, kw = self.pick((1, 1), (3, 3), (3, 5), (1, 7), (65, 1), (64, 64), (64, 65), (2, 2))
        if self.rng.random() < 0.5:
            kh, kw = self.pick((3, 3), (1, 1), (5, 5))
        sh, sw = self.pick((1, 1), (1, 1), (2, 2), (3, 3), (4, 4), (1, 4), (4, 1), (2, 3))
        dh, dw = self.pick((1, 1), (1, 1), (1, 1), (2, 2), (2, 1))
        same = self.rng.random() < 0.5
        c, o = int(self.rng.integers(1, 5)), int(self.rng.integers(1, 5))
        h, w = (kh - 1) * dh + 1 + int(self.rng.integers(0, 9)), (kw - 1) * dw + 1 + int(self.rng.integers(0, 9))
        m = self.pick(1, 1, 1, 2)
        out = c * m if depthwise else o
        x = self.act([self.pick(1, 1, 1, 2), h, w, c], dtype)
        weights = self.weights([1, kh, kw, out], dtype, 3, out) if depthwise else self.weights([o, kh, kw, c], dtype, 0, o)
        if dtype == 'f32':
            weights = T(weights.shape, 'f32', None, data=np.zeros(weights.shape, np.float32))
        if self.rng.random() < 0.1:
            weights.data = None
        ho = -(-h // sh) if same else (h - (kh - 1) * dh - 1) // sh + 1
        wo = -(-w // sw) if same else (w - (kw - 1) * dw - 1) // sw + 1
        y = self.act([x.shape[0], ho, wo, out], dtype)
        opts = dict(padding=0 if same else 1, strideH=sh, strideW=sw, dilationHFactor=dh, dilationWFactor=dw)
        if depthwise:
            opts['depthMultiplier'] = m
        return [x, weights, self.bias(out, dtype, x)], [y], opts

    def transpose_conv(self, op):
        dtype = self.dtype('f32')
        k = self.pick(1, 2, 3, 4)
        sh, sw = self.pick((1, 1), (2, 2), (2, 2), (1, 2), (2, 1), (3, 3))
        kh, kw = (1, k) if self.rng.random() < 0.2 else (k, k)
        same = self.rng.random() < 0.6
        h, w = self.pick((1, 5), (4, 6), (5, 1))
        c, o = 3, 2
        ho, wo = (h * sh, w * sw) if same else (h * sh + max(kh - sh, 0), w * sw + max(kw - sw, 0))
        if self.rng.random() < 0.2:
            ho += 1
        x, y = self.act([1, h, w, c], dtype), self.act([1, ho, wo, o], dtype)
        weights = self.weights([o, kh, kw, c], dtype, 0, o)
        if dtype == 'f32':
            weights = T(weights.shape, 'f32', None, data=np.zeros(weights.shape, np.float32))
        return [ints(y.shape), weights, x, self.bias(o, dtype, x)], [y], dict(padding=0 if same else 1, strideH=sh, strideW=sw)

    def pool(self, op):
        dtype = self.dtype('f32')
        same = self.rng.random() < 0.5
        kh, kw = self.pick((1, 1), (2, 2), (3, 3), (8, 8), (9, 9), (8, 9), (256, 1), (257, 1), (1, 256), (256, 256), (256, 257), (1, 300))
        sh, sw = self.pick((1, 1), (2, 2), (3, 3), (4, 4), (4, 1), (1, 4))
        c = int(self.rng.integers(1, 5))
        h, w = kh + int(self.rng.integers(0, 9)), kw + int(self.rng.integers(0, 9))
        x = self.act([self.pick(1, 1, 2), h, w, c], dtype)
        ho, wo = (-(-h // sh), -(-w // sw)) if same else ((h - kh) // sh + 1, (w - kw) // sw + 1)
        y = self.act([x.shape[0], ho, wo, c], dtype)
        if self.rng.random() < 0.7:
            y.scale, y.zero = x.scale, x.zero
        return [x], [y], dict(padding=0 if same else 1, strideH=sh, strideW=sw, filterHeight=kh, filterWidth=kw)

    def fully_connected(self, op):
        dtype = self.dtype('f32')
        n, i, o = self.pick(1, 1, 3), int(self.rng.integers(1, 20)), int(self.rng.integers(1, 20))
        x, y = self.act([n, i], dtype), self.act([n, o], dtype)
        if self.rng.random() < 0.1:  # about the most an accumulator holds: 65536 * 127
            i, o = self.pick(65536, 65537), 1
            x.shape, y.shape = [n, i], [n, o]
        weights = self.weights([o, i], dtype, 0, o)
        if i > 1000:
            weights.data[:] = 127
            weights.zero = 0
        if dtype == 'f32':
            weights = T(weights.shape, 'f32', None, data=np.zeros(weights.shape, np.float32))
        if self.rng.random() < 0.2:
            weights.data, weights.scale = None, 0.01
        return [x, weights, self.bias(o, dtype, x)], [y], {}

    def batch_matmul(self, op):
        dtype = self.dtype('f32')
        b, i, k, o = self.pick(1, 2), 4, 5, 3
        x, w, y = self.act([b, i, k], dtype), self.act([b, k, o], dtype), self.act([b, i, o], dtype)
        if self.rng.random() < 0.3:
            w.data = self.rng.integers(0, 100, w.shape).astype(TYPES[dtype][1])
        opts = {}
        if self.rng.random() < 0.3:
            opts, w.shape = {'adjY': True}, [b, o, k]
            if w.data is not None:
                w.data = w.data.reshape(w.shape)
        return [x, w], [y], opts

    def softmax(self, op):
        dtype = self.dtype('f32')
        shape = self.pick([1, 10], [1, 4, 5, 6], [1, 256, 255, 2], [1, 256, 256, 2], [3, 7], [1, 65535, 1, 2], [2, 3, 4], [5])
        x = self.act(shape, dtype)
        y = T(shape, dtype, None if dtype == 'f32' else {'i16': 1 / 32768}.get(dtype, 1 / 256), {'i8': -128}.get(dtype, 0))
        return [x], [y], {'beta': self.pick(1.0, 1.0, 0.5)}

    def reshape(self, op):
        dtype = self.dtype('i32', 'f32')
        shape = self.shape()
        x, n = self.act(shape, dtype), int(np.prod(shape))
        y = T([1, n], dtype, x.scale, x.zero)
        if op == 'SQUEEZE':
            y.shape = [d for d in shape if d != 1] or [1]
            if y.shape == [1] and n == 1:
                y.shape = []
            return [x], [y], {'squeezeDims': [i for i, d in enumerate(shape) if d == 1]}
        if op == 'EXPAND_DIMS':
            y.shape = [1] + shape
            return [x, ints([0])], [y], {}
        return [x, ints(y.shape)], [y], {'newShape': y.shape}

    def concat(self, op):
        dtype, rank = self.dtype('i32', 'f32'), self.pick(2, 3, 4, 4)
        shape, axis = self.shape(rank), self.pick(-1, 0, 1)
        xs = []
        for _ in range(self.pick(1, 2, 3)):
            d = list(shape)
            if op == 'CONCATENATION':
                d[axis] = int(self.rng.integers(1, 5))
            xs.append(self.act(d, dtype))
        if op == 'PACK':
            y = self.act([len(xs)] + shape, dtype)
            return xs, [y], {'axis': 0, 'valuesCount': len(xs)}
        total = list(shape)
        total[axis] = sum(x.shape[axis] for x in xs)
        return xs, [self.act(total, dtype)], {'axis': axis, 'fusedActivationFunction': NONE}

    def split(self, op):
        dtype = self.dtype('i32', 'f32')
        x = self.act([1, 4, 6, 8], dtype)
        axis, n = self.pick(1, 2, 3, -1), 2
        if op == 'UNPACK':
            shape = [d for i, d in enumerate(x.shape) if i != axis % 4]
            ys = [T(shape, dtype, x.scale, x.zero) for _ in range(x.shape[axis])]
            return [x], ys, {'axis': axis, 'num': len(ys)}
        part = list(x.shape)
        part[axis] //= n
        ys = [T(part, dtype, x.scale, x.zero) for _ in range(n)]
        if op == 'SPLIT_V':
            return [x, ints([part[axis]] * n), ints(axis)], ys, {'numSplits': n}
        return [ints(axis), x], ys, {'numSplits': n}

    def slice(self, op):
        dtype = self.dtype('i32', 'f32')
        x = self.act([1, 6, 7, 8], dtype)
        begin = [0, self.pick(0, 1, 2), self.pick(0, 3), self.pick(0, 4)]
        size = [1, 3, 4, 4]
        if op == 'SLICE':
            params = [ints(begin), ints(size)]
            if self.rng.random() < 0.15:
                params[0].data = None
            return [x] + params, [T(size, dtype, x.scale, x.zero)], {}
        stride = [1, self.pick(1, 1, 2), self.pick(1, 1, 2, -1), self.pick(1, 1, 2)]
        if stride[2] < 0:
            begin[2], end = 6, [1, begin[1] + 3, 2, begin[3] + 4]
        else:
            end = [b + n for b, n in zip(begin, size)]
        out = [len(range(b, e, t)) for b, e, t in zip(begin, end, stride)]
        shrink = 0
        if self.rng.random() < 0.3 and stride[1] == 1:
            shrink, end[1], out = 2, begin[1] + 1, [out[0]] + out[2:]
        params = [ints(begin), ints(end), ints(stride)]
        if self.rng.random() < 0.15:
            params[1].data = None
        return [x] + params, [T(out, dtype, x.scale, x.zero)], {'shrinkAxisMask': shrink}

    def pad(self, op):
        dtype = self.dtype('i32', 'f32')
        x = self.act(self.pick([1, 5, 6, 3], [1, 5, 6, 3], [5, 6, 3], [6, 3]), dtype)
        pads = self.rng.integers(0, 3, (len(x.shape), 2))
        if self.rng.random() < 0.7:
            pads[[0, -1]] = 0
        y = T([int(d + a + b) for d, (a, b) in zip(x.shape, pads)], dtype, x.scale, x.zero)
        p = ints(pads, self.pick('i32', 'i64'))
        if self.rng.random() < 0.1:
            p.data = None
        rest = [T([], dtype, x.scale, x.zero, np.zeros([], TYPES[dtype][1]))] if op == 'PADV2' else []
        return [x, p] + rest, [y], {'mode': self.pick(0, 1)} if op == 'MIRROR_PAD' else {}

    def resize(self, op):
        dtype = self.dtype('f32', 'i32')
        h, w = self.pick((1, 1), (4, 4), (5, 3), (1, 4), (4, 1))
        align, half = self.pick((False, False), (True, False), (False, True))
        fh = self.pick(1, 2, 2, 3, 4, 8, 16)
        fw = fh if self.rng.random() < 0.75 else self.pick(1, 2, 4)
        size = [((d - 1) * f + 1) if align and d > 1 and self.rng.random() < 0.8 else d * f for d, f in ((h, fh), (w, fw))]
        x = self.act([self.pick(1, 1, 1, 2), h, w, 3], dtype)
        y = T([x.shape[0]] + size + [3], dtype, x.scale, x.zero)
        return [x, ints(size)], [y], {'alignCorners': align, 'halfPixelCenters': half}

    def reduce(self, op):
        dtype = self.dtype('f32', 'i32')
        shape = self.pick([1, 6, 7, 3], [1, 6, 7, 3], [2, 6, 7, 3], [1, 1, 1, 30], [1, 4095, 2, 1], [1, 4096, 2, 1], [6, 7], [1, 6, 7], [1, 256, 257, 1], [1, 1, 7, 9], [9])
        axes = self.pick([1, 2], [1, 2], [1], [2], [3], [-1], [1, 2, 3], [0], [0, 1])
        axes = sorted({a if a < len(shape) else len(shape) - 1 for a in axes})
        keep = self.rng.random() < 0.6
        x = self.act(shape, dtype)
        gone = {a % len(shape) for a in axes}
        out = [1 if i in gone else d for i, d in enumerate(shape) if keep or i not in gone]
        a = ints(axes)
        if self.rng.random() < 0.1:
            a.data = None
        return [x, a], [self.act(out, dtype)], {'keepDims': bool(keep)}

    def arg_max(self, op):
        dtype = self.dtype('f32')
        depth = self.pick(3, 100, 127, 128, 200)
        axis = self.pick(3, 3, -1, 1)
        x = self.act([1, 4, 5, depth], dtype)
        out = self.pick('i32', 'i64')
        shape = [d for i, d in enumerate(x.shape) if i != axis % 4]
        return [x, ints(axis)], [T(shape, out, None)], {'outputType': TYPES[out][0]}

    def transpose(self, op):
        dtype = self.dtype('i32', 'f32')
        rank = self.pick(2, 3, 4, 4, 5)
        perm = [int(i) for i in self.rng.permutation(rank)]
        shape = self.shape(rank) if self.rng.random() < 0.8 else self.pick([1, 3, 300, 300], [1, 40000, 2, 2], [2, 3, 300, 300])[:rank]
        shape += [1] * (rank - len(shape))
        x = self.act(shape, dtype)
        p = ints(perm)
        if self.rng.random() < 0.1:
            p.data = None
        return [x, p], [T([shape[i] for i in perm], dtype, x.scale, x.zero)], {}

    def tile(self, op):
        dtype = self.dtype('i32', 'f32')
        x = self.act([1, 3, 4, 5], dtype)
        m = [1, self.pick(1, 2), self.pick(1, 3), self.pick(1, 2)]
        return [x, ints(m)], [T([a * b for a, b in zip(x.shape, m)], dtype, x.scale, x.zero)], {}

    def reverse(self, op):
        dtype = self.dtype('f32')
        x = self.act([1, 3, 4, 5], dtype)
        return [x, ints([self.pick(1, 2, 3)])], [T(x.shape, dtype, x.scale, x.zero)], {}

    def gather(self, op):
        dtype = self.dtype('f32')
        x = self.act([6, 4], dtype)
        return [x, ints([0, 2, 5])], [T([3, 4], dtype, x.scale, x.zero)], {'axis': 0}

    def prelu(self, op):
        dtype = self.dtype('f32', 'i32')
        x = self.act([1, 5, 6, 4], dtype)
        alpha = self.act([1, 1, 4], dtype)
        alpha.data = self.rng.integers(0, 100, alpha.shape).astype(TYPES[dtype][1])
        if self.rng.random() < 0.15:
            alpha.data = None
        return [x, alpha], [self.act(x.shape, dtype)], {}

    def quantize(self, op):
        a, b = self.pick('i8', 'u8', 'i16', 'i32', 'f32'), self.pick('i8', 'u8', 'i16', 'i32')
        shape = self.shape(self.pick(None, 2, 4))
        if op == 'DEQUANTIZE':
            a, b = b, 'f32'
        if op == 'CAST':
            x, y = self.act(shape, self.pick('i8', 'i32')), self.act(shape, self.pick('i8', 'i32', 'f32'))
            return [x], [y], {'inDataType': TYPES[x.dtype][0], 'outDataType': TYPES[y.dtype][0]}
        return [self.act(shape, a)], [self.act(shape, b)], {}

    def space(self, op):
        dtype = self.dtype('f32')
        x, y = self.act([1, 4, 6, 8], dtype), None
        y = [1, 8, 12, 2] if op == 'DEPTH_TO_SPACE' else [1, 2, 3, 32]
        return [x], [T(y, dtype, x.scale, x.zero)], {'blockSize': 2}


KINDS = {
    'unary': 'ABS ELU EXP GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC NEG RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RSQRT TANH SQRT '
             'FLOOR L2_NORMALIZATION LOG_SOFTMAX SQUARE',
    'binary': 'ADD MUL SUB MAXIMUM MINIMUM SQUARED_DIFFERENCE DIV',
    'conv': 'CONV_2D CONV_2D DEPTHWISE_CONV_2D', 'transpose_conv': 'TRANSPOSE_CONV', 'pool': 'AVERAGE_POOL_2D MAX_POOL_2D',
    'fully_connected': 'FULLY_CONNECTED', 'batch_matmul': 'BATCH_MATMUL', 'softmax': 'SOFTMAX',
    'reshape': 'RESHAPE SQUEEZE EXPAND_DIMS', 'concat': 'CONCATENATION PACK', 'split': 'SPLIT SPLIT_V UNPACK',
    'slice': 'SLICE STRIDED_SLICE', 'pad': 'PAD PADV2 MIRROR_PAD', 'resize': 'RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR',
    'reduce': 'MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD', 'arg_max': 'ARG_MAX', 'transpose': 'TRANSPOSE', 'tile': 'TILE',
    'reverse': 'REVERSE_V2', 'gather': 'GATHER', 'prelu': 'PRELU', 'quantize': 'QUANTIZE DEQUANTIZE CAST',
    'space': 'DEPTH_TO_SPACE SPACE_TO_DEPTH'}
ALL = [(kind, op) for kind, ops in KINDS.items() for op in ops.split()]


def nets(seed, count, only=None):
    """`count` networks: the operators in turn, each drawn anew."""
    kinds = [k for k in ALL if not only or k[1] in only]
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        kind, op = kinds[k % len(kinds)]
        inputs, outputs, options = getattr(Maker(rng), kind)(op)
        for j, y in enumerate(outputs):
            y.name = f'{op.lower()}_{k}_{j}'
        yield Net(f'{op.lower()}_{k}', op, build(op, inputs, outputs, options), outputs[0].name)
