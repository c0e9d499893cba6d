#!/usr/bin/env python3
"""random_graphs.py FOLDER COUNT [SEED] - small random ONNX models with what ONNX Runtime makes of them.

Each is a folder shaped like one of ONNX's own test cases: model.onnx, test_data_set_0/{input,output}_i.pb,
tolerance.json. A graph has 3 to 12 operators. Each operator is tried alone in ONNX Runtime (all optimisations
off) on the values made so far, and kept when it is accepted and its results are finite and of moderate size; the whole graph must
then pass onnx.checker and strict shape inference. Every value is an output, so that the first that differs names
the operator. The same seed gives the same models.

An operator whose result jumps (Cast to integers, Round, comparisons, ArgMax, TopK ...) gets only values that
every implementation rounds alike: inputs, copies, and single IEEE operations on such values. Anything else would
compare last bits, not operators.
"""
import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
OPTIONS.intra_op_num_threads = OPTIONS.inter_op_num_threads = 1
OPTIONS.log_severity_level = 4
OPTIONS.add_session_config_entry('session.intra_op.allow_spinning', '0')

OPSETS = (13, 14, 15, 17, 18, 19, 20, 21, 22)
MAX_ELEMENTS = 4000
F32, F64, F16 = np.float32, np.float64, np.float16
FLOATS = (F32, F32, F32, F32, F64, F16)
INTS = (np.int64, np.int32, np.int8, np.uint8, np.int16, np.uint16, np.uint32, np.uint64)
INDEX = (np.int64, np.int32)
NUMBERS = FLOATS + INTS


class Refused(Exception):
    """This operator cannot be made of these values."""


class Value:
    def __init__(self, name, array, exact=True, constant=False):
        self.name, self.array, self.exact, self.constant = name, array, exact, constant


class Graph:
    def __init__(self, rng):
        self.rng = rng
        self.opset = int(rng.choice(OPSETS))
        self.values, self.inputs, self.constants, self.nodes, self.outputs = [], [], [], [], []
        self.pending, self.made = [], 0

    # -- choices
    def one(self, items):
        return items[int(self.rng.integers(len(items)))]

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def chance(self, p):
        return self.rng.random() < p

    def dims(self, rank):
        return [0 if self.chance(0.004) else int(self.one((1, 1, 2, 3, 4, 5, 6, 7))) for _ in range(rank)]

    def numbers(self, dtype, shape, low=-4.0, high=4.0):
        """Multiples of 1/8: sums and products of a few are exact."""
        if dtype == bool:
            return self.rng.random(shape) < 0.5
        if np.issubdtype(dtype, np.integer):
            lowest = 0 if np.issubdtype(dtype, np.unsignedinteger) else -9
            return self.rng.integers(lowest, 10, shape).astype(dtype)
        return (np.round(self.rng.uniform(low, high, shape) * 8) / 8).astype(dtype)

    # -- operands
    def new(self, array, constant=None):
        constant = self.chance(0.4) if constant is None else constant
        self.made += 1
        v = Value(f'{"c" if constant else "x"}{self.made}', np.asarray(array), constant=constant)
        self.pending.append(v)
        return v

    def const(self, array):
        return self.new(array, True)

    def pick(self, dtypes=FLOATS, low=0, high=5, exact=False):
        """A value made so far, or (one time in three, or when none fits) a new input."""
        fits = [v for v in self.values if v.array.dtype.type in dtypes and low <= v.array.ndim <= high
                and (v.exact or not exact)]
        if fits and self.chance(0.75):
            return self.one(fits[-4:] if self.chance(0.6) else fits)
        return self.new(self.numbers(self.one(dtypes), self.dims(self.number(max(low, 1) if self.chance(0.9) else low, min(high, 4) if low <= 4 else high))), False)

    def fitting(self, v, dtype=None):
        """A new operand whose shape broadcasts with that of v."""
        shape = [d if self.chance(0.7) else 1 for d in v.array.shape]
        if self.chance(0.2):
            shape = [int(self.one((1, 2, 3)))] + shape if len(shape) < 5 else shape
        else:
            shape = shape[self.number(0, len(shape)):] if self.chance(0.3) else shape
        return self.new(self.numbers(dtype or v.array.dtype.type, shape))

    def partner(self, v):
        def broadcasts(u):
            try:
                np.broadcast_shapes(u.array.shape, v.array.shape)
            except ValueError:
                return False
            return u.array.dtype == v.array.dtype
        fits = [u for u in self.values if broadcasts(u)]
        return self.one(fits) if fits and self.chance(0.5) else self.fitting(v)

    def axis(self, v, least=1):
        rank = v.array.ndim
        if rank < least:
            raise Refused
        a = self.number(0, rank - 1)
        return a - rank if self.chance(0.4) else a

    def axes(self, v):
        if v.array.ndim == 0:
            return []
        some = [a for a in range(v.array.ndim) if self.chance(0.5)] or [0]
        return [a - v.array.ndim if self.chance(0.3) else a for a in some]

    # -- building
    def model(self, nodes, inputs, constants, outputs):
        def info(v):
            return helper.make_tensor_value_info(v.name, helper.np_dtype_to_tensor_dtype(v.array.dtype), v.array.shape)
        graph = helper.make_graph(nodes, 'random', [info(v) for v in inputs], outputs,
                                  [numpy_helper.from_array(v.array, v.name) for v in constants])
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', self.opset)])

    def run(self, model, inputs):
        session = onnxruntime.InferenceSession(model.SerializeToString(), OPTIONS, providers=['CPUExecutionProvider'])
        return session.run(None, {v.name: v.array for v in inputs})

    def add(self, op, operands, n_out=1, exact=False, **attributes):
        """Try the operator alone; keep it when ONNX Runtime takes it and the results are sound."""
        operands = list(operands)
        while operands and operands[-1] is None:
            operands.pop()
        names = [f'v{len(self.values) + i}' for i in range(n_out)]
        attributes = {k: a for k, a in attributes.items() if a is not None}
        node = helper.make_node(op, [v.name if v else '' for v in operands], names, name=f'n{len(self.nodes)}', **attributes)
        given = {v.name: v for v in operands if v}.values()
        feed = [v for v in given if not v.constant]
        try:
            results = self.run(self.model([node], feed, [v for v in given if v.constant],
                                          [onnx.ValueInfoProto(name=n) for n in names]), feed)
        except Exception as error:
            raise Refused(op) from error
        for r in results:
            if not isinstance(r, np.ndarray) or r.size > MAX_ELEMENTS or r.ndim > 6 or r.dtype == object:
                raise Refused(op)
            if r.dtype.kind == 'f' and not (np.isfinite(r).all() and (r.size == 0 or np.abs(r).max() < (200 if r.dtype == F16 else 1e5))):
                raise Refused(op)
        for v in given:
            if v in self.pending:
                (self.constants if v.constant else self.inputs).append(v)
                self.values.append(v)
        exact = exact and all(v.exact for v in given)
        made = [Value(n, r, exact or r.dtype.kind not in 'f') for n, r in zip(names, results)]
        names_taken = {v.name for v in self.values}
        if any(v.name in names_taken for v in made):
            raise Refused(op)
        self.values += made
        self.outputs += made
        self.nodes.append(node)

    def grow(self):
        wanted = self.number(3, 12)
        tries = 0
        while len(self.nodes) < wanted and tries < 60:
            self.pending = []
            tries += 1
            try:
                self.one(MAKERS)(self)
            except Refused:
                pass
        return len(self.nodes) >= 3


# -- the operators: each maker chooses operands and attributes and adds a node ------------------------------------
MAKERS = []


def maker(weight=1):
    def note(function):
        MAKERS.extend([function] * weight)
        return function
    return note


@maker(3)
def unary(g):
    op = g.one(('Sigmoid', 'Tanh', 'Exp', 'Erf', 'Softplus', 'Softsign', 'Sin', 'Cos', 'Atan', 'Sinh', 'Cosh', 'Asinh', 'Tan',
                'HardSwish', 'Mish', 'Gelu', 'Elu', 'Selu', 'Celu', 'HardSigmoid', 'LeakyRelu', 'ThresholdedRelu', 'Shrink',
                'Log', 'Acos', 'Asin', 'Atanh', 'Acosh'))
    attributes = {}
    if op in ('Elu', 'LeakyRelu', 'HardSigmoid', 'ThresholdedRelu', 'Selu', 'Celu') and g.chance(0.6):
        attributes['alpha'] = g.number(1, 12) / 8
    if op == 'HardSigmoid' and g.chance(0.5):
        attributes['beta'] = g.number(-4, 4) / 8
    if op == 'Selu' and g.chance(0.5):
        attributes['gamma'] = g.number(1, 12) / 8
    if op == 'Shrink':
        attributes = {'lambd': g.number(0, 8) / 8, 'bias': g.number(0, 8) / 8}
    if op == 'Gelu' and g.chance(0.5):
        attributes['approximate'] = 'tanh'
    jumps = op in ('Shrink', 'ThresholdedRelu')
    g.add(op, [g.pick(exact=jumps)], exact=jumps, **attributes)


@maker(2)
def unary_exact(g):
    op = g.one(('Abs', 'Neg', 'Relu', 'Sqrt', 'Reciprocal', 'Identity', 'Sign'))
    g.add(op, [g.pick(NUMBERS if op in ('Abs', 'Neg', 'Sign', 'Identity', 'Relu') else FLOATS, exact=op == 'Sign')], exact=True)


@maker()
def rounding(g):
    g.add(g.one(('Ceil', 'Floor', 'Round', 'IsNaN', 'IsInf')), [g.pick(exact=True)], exact=True)


@maker()
def logic(g):
    op = g.one(('Not', 'And', 'Or', 'Xor'))
    v = g.pick((bool,))
    g.add(op, [v] if op == 'Not' else [v, g.partner(v)])


@maker()
def bits(g):
    op = g.one(('BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitwiseNot'))
    if op == 'BitShift':
        v = g.pick((np.uint8, np.uint32, np.uint64, np.uint16))
        w = g.new(g.rng.integers(0, 8, v.array.shape).astype(v.array.dtype))
        return g.add(op, [v, w], direction=g.one(('LEFT', 'RIGHT')))
    v = g.pick(INTS)
    return g.add(op, [v] if op == 'BitwiseNot' else [v, g.partner(v)])


@maker(5)
def binary(g):
    op = g.one(('Add', 'Sub', 'Mul', 'Div'))
    v = g.pick(FLOATS + INTS[:4])
    w = g.partner(v)
    if op == 'Div' and not w.array.all():
        raise Refused
    g.add(op, [v, w] if g.chance(0.8) or op == 'Div' else [w, v], exact=v.array.dtype != F16)


@maker()
def power(g):
    v = g.pick((F32, F32, F64, np.int32, np.int64))
    if v.array.dtype.kind == 'i' and v.array.size and np.abs(v.array).max() > 1000:
        raise Refused  # overflow
    # an integer to a broken power is undefined where it is negative
    powers = (np.array(2, F32), np.array(3, np.int64), np.array(1, np.int32)) + ((np.array([0.5], F32),) if v.array.dtype.kind == 'f' else ())
    g.add('Pow', [v, g.const(g.one(powers))])


@maker()
def modulo(g):
    v = g.pick(INTS[:6] + (F32, F64), exact=True)
    w = g.fitting(v)
    w.array = np.where(w.array == 0, np.ones((), w.array.dtype), w.array)
    g.add('Mod', [v, w], fmod=1 if v.array.dtype.kind == 'f' or g.chance(0.3) else None)


@maker()
def compare(g):
    v = g.pick(NUMBERS, exact=True)
    w = g.partner(v)
    if not w.exact:
        raise Refused
    g.add(g.one(('Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual')), [v, w])


@maker(2)
def variadic(g):
    op = g.one(('Max', 'Min', 'Sum', 'Mean'))
    v = g.pick(NUMBERS if op[0] == 'M' and op != 'Mean' else FLOATS)
    g.add(op, [v] + [g.partner(v) for _ in range(g.number(0, 2))], exact=op in ('Max', 'Min'))


@maker()
def where(g):
    v = g.pick(NUMBERS)
    c = g.fitting(v, bool)
    g.add('Where', [c, v, g.partner(v)], exact=True)


@maker()
def clip(g):
    v = g.pick(NUMBERS)
    t = v.array.dtype
    g.add('Clip', [v, g.const(np.array(1, t)) if g.chance(0.7) else None, g.const(np.array(3, t)) if g.chance(0.7) else None], exact=True)


@maker()
def prelu(g):
    v = g.pick((F32, F64), 1)
    shape = [d if g.chance(0.6) else 1 for d in v.array.shape]
    g.add('PRelu', [v, g.new(g.numbers(v.array.dtype.type, shape))])


# -- shapes
@maker(2)
def reshape(g):
    v = g.pick(NUMBERS + (bool,))
    n = v.array.size
    dims, left = [], n
    while left > 1 and len(dims) < 4:
        d = g.one([d for d in range(1, left + 1) if left % d == 0])
        dims.append(d)
        left //= d
    dims.append(left)
    if n and g.chance(0.4):
        dims[g.number(0, len(dims) - 1)] = -1
    g.add('Reshape', [v, g.new(np.array(dims, np.int64), g.chance(0.8))], exact=True)


@maker()
def reshape_zero(g):
    v = g.pick(NUMBERS, 2)
    g.add('Reshape', [v, g.const(np.array([0, -1], np.int64))], exact=True)


@maker()
def flatten(g):
    v = g.pick(NUMBERS)
    g.add('Flatten', [v], axis=g.number(-v.array.ndim, v.array.ndim), exact=True)


@maker()
def squeeze(g):
    v = g.pick(NUMBERS, 1)
    ones = [a for a, d in enumerate(v.array.shape) if d == 1]
    g.add('Squeeze', [v, g.const(np.array([a - v.array.ndim if g.chance(0.3) else a for a in ones], np.int64)) if ones and g.chance(0.7) else None],
          exact=True)


@maker()
def unsqueeze(g):
    v = g.pick(NUMBERS, 0, 4)
    axes = [g.number(-v.array.ndim - 1, v.array.ndim)] if g.chance(0.7) else [0, -1]
    g.add('Unsqueeze', [v, g.const(np.array(axes, np.int64))], exact=True)


@maker(2)
def transpose(g):
    v = g.pick(NUMBERS + (bool,))
    g.add('Transpose', [v], perm=[int(a) for a in g.rng.permutation(v.array.ndim)] if g.chance(0.8) and v.array.ndim else None, exact=True)


@maker(2)
def concat(g):
    v = g.pick(NUMBERS, 1)
    axis = g.axis(v)
    parts = [v]
    for _ in range(g.number(0, 2)):
        shape = list(v.array.shape)
        shape[axis] = g.number(1, 4)
        parts.append(g.new(g.numbers(v.array.dtype.type, shape)))
    g.rng.shuffle(parts)
    g.add('Concat', parts, axis=axis, exact=True)


@maker(2)
def split(g):
    v = g.pick(NUMBERS, 1)
    axis = g.axis(v)
    n = v.array.shape[axis]
    if n < 2:
        raise Refused
    if g.chance(0.5):
        first = g.number(0, n)
        g.add('Split', [v, g.const(np.array([first, n - first], np.int64))], n_out=2, axis=axis, exact=True)
    elif g.opset >= 18:
        g.add('Split', [v], n_out=2, axis=axis, num_outputs=2, exact=True)
    else:
        g.add('Split', [v], n_out=2, axis=axis, exact=True)


@maker(3)
def slice_(g):
    v = g.pick(NUMBERS, 1)
    axes = g.axes(v)
    kind = g.one(INDEX)
    starts, ends, steps = [], [], []
    for a in axes:
        n = v.array.shape[a]
        step = g.one((1, 1, 1, 2, 3, -1, -2))
        s, e = g.number(-n - 2, n + 2), g.number(-n - 2, n + 2)
        if step > 0 and g.chance(0.7):
            s, e = g.number(0, max(n - 1, 0)), g.one((n, 2**31 - 1, -1))
        starts.append(s), ends.append(e), steps.append(step)
    operands = [v] + [g.const(np.array(x, kind)) for x in (starts, ends, axes)]
    if any(s != 1 for s in steps):
        operands.append(g.const(np.array(steps, kind)))
    g.add('Slice', operands, exact=True)


def indices(g, n, shape, kind):
    if n == 0:
        raise Refused
    return g.new(g.rng.integers(-n, n, shape).astype(kind))


@maker(2)
def gather(g):
    v = g.pick(NUMBERS + (bool,), 1, 4)
    axis = g.axis(v)
    g.add('Gather', [v, indices(g, v.array.shape[axis], g.dims(g.number(0, 2)), g.one(INDEX))], axis=axis, exact=True)


@maker()
def gather_elements(g):
    v = g.pick(NUMBERS, 1, 4)
    axis = g.axis(v)
    shape = [g.number(1, d) if d else 0 for d in v.array.shape]
    g.add('GatherElements', [v, indices(g, v.array.shape[axis], shape, g.one(INDEX))], axis=axis, exact=True)


@maker()
def gather_nd(g):
    v = g.pick(NUMBERS, 2, 4)
    batch = g.number(0, v.array.ndim - 1)
    k = g.number(1, v.array.ndim - batch)
    if 0 in v.array.shape:
        raise Refused
    lead = list(v.array.shape[:batch]) + [g.number(1, 3)]
    pick = np.stack([g.rng.integers(-n, n, lead) for n in v.array.shape[batch:batch + k]], -1).astype(np.int64)
    g.add('GatherND', [v, g.new(pick)], batch_dims=batch or None, exact=True)


@maker()
def scatter_elements(g):
    v = g.pick(FLOATS + INTS[:2], 1, 4)
    axis = g.axis(v)
    shape = [g.number(1, d) if d else 0 for d in v.array.shape]
    n = v.array.shape[axis]
    if n == 0:
        raise Refused
    if shape[axis] > n:
        raise Refused
    order = np.argsort(g.rng.random(list(shape[:axis % v.array.ndim]) + [n] + list(shape[axis % v.array.ndim + 1:])), axis)
    where_ = np.take(order, range(shape[axis]), axis).astype(g.one(INDEX))
    reduction = g.one((None, 'add', 'mul')) if g.opset >= 16 else None
    if g.opset >= 18 and g.chance(0.4):
        reduction = g.one(('max', 'min'))
    g.add('ScatterElements', [v, g.new(where_), g.new(g.numbers(v.array.dtype.type, shape))], axis=axis, reduction=reduction, exact=reduction is None)


@maker()
def scatter_nd(g):
    v = g.pick(FLOATS + INTS[:2], 1, 4)
    k = g.number(1, v.array.ndim)
    n = int(np.prod(v.array.shape[:k]))
    if n == 0:
        raise Refused
    rows = g.rng.permutation(n)[:g.number(1, min(n, 4))]
    where_ = np.stack(np.unravel_index(rows, v.array.shape[:k]), -1).astype(np.int64)
    reduction = g.one((None, 'add', 'mul')) if g.opset >= 16 else None
    g.add('ScatterND', [v, g.new(where_), g.new(g.numbers(v.array.dtype.type, [len(rows)] + list(v.array.shape[k:])))],
          reduction=reduction, exact=reduction is None)


@maker()
def expand(g):
    v = g.pick(NUMBERS, 0, 3)
    shape = [g.number(1, 4) if d == 1 and g.chance(0.6) else g.one((d, 1)) for d in v.array.shape]
    if g.chance(0.4):
        shape = [g.number(1, 3)] + shape
    g.add('Expand', [v, g.new(np.array(shape, np.int64))], exact=True)


@maker()
def tile(g):
    v = g.pick(NUMBERS, 1, 4)
    g.add('Tile', [v, g.new(g.rng.integers(1, 4, v.array.ndim))], exact=True)


@maker(2)
def pad(g):
    v = g.pick(FLOATS + INTS[:2], 1, 4)
    mode = g.one(('constant', 'constant', 'reflect', 'edge') + (('wrap',) if g.opset >= 19 else ()))
    rank = v.array.ndim
    low = -1 if mode == 'constant' and g.chance(0.3) else 0
    pads = [min(g.number(low, 3), max(d - 1, 0)) if mode != 'constant' else g.number(low, 3) for d in list(v.array.shape) * 2]
    if mode == 'constant' and any(d + pads[a] + pads[a + rank] < 1 for a, d in enumerate(v.array.shape)):
        raise Refused
    g.add('Pad', [v, g.new(np.array(pads, np.int64)), g.const(np.array(2, v.array.dtype)) if mode == 'constant' and g.chance(0.5) else None],
          mode=mode, exact=True)


@maker()
def shape_of(g):
    v = g.pick(NUMBERS)
    if g.opset >= 15 and g.chance(0.5):
        return g.add('Shape', [v], start=g.number(-3, 2), end=g.number(-2, 4))
    return g.add(g.one(('Shape', 'Size')), [v])


@maker()
def filled(g):
    t = g.one((F32, np.int64, np.int32, F64, bool, np.uint8))
    g.add('ConstantOfShape', [g.new(np.array(g.dims(g.number(1, 3)), np.int64))],
          value=numpy_helper.from_array(np.array([1], t)) if g.chance(0.7) else None, exact=True)


@maker()
def range_(g):
    t = g.one((np.int64, np.int32, F32, F64))
    g.add('Range', [g.new(np.array(g.number(-3, 2), t)), g.new(np.array(g.number(3, 9), t)), g.new(np.array(g.number(1, 3), t))], exact=True)


@maker(3)
def cast(g):
    to = g.one((T.FLOAT, T.DOUBLE, T.FLOAT16, T.INT64, T.INT32, T.INT8, T.UINT8, T.BOOL, T.INT16, T.UINT32))
    v = g.pick(NUMBERS + (bool,), exact=True)
    if v.array.dtype.kind == 'f' and to in (T.UINT8, T.UINT32) and v.array.size and v.array.min() <= -1:
        raise Refused  # undefined in C and in ONNX
    if v.array.dtype.kind == 'f' and to in (T.INT8, T.INT16, T.UINT8) and v.array.size and np.abs(v.array).max() >= 127:
        raise Refused
    g.add('Cast', [v], to=to, exact=True)


@maker()
def space_depth(g):
    b = g.number(2, 3)
    if g.chance(0.5):
        v = g.new(g.numbers(F32, [g.number(1, 2), b * b * g.number(1, 2), g.number(1, 4), g.number(1, 4)]), False)
        return g.add('DepthToSpace', [v], blocksize=b, mode=g.one(('DCR', 'CRD')), exact=True)
    v = g.new(g.numbers(F32, [g.number(1, 2), g.number(1, 3), b * g.number(1, 3), b * g.number(1, 3)]), False)
    return g.add('SpaceToDepth', [v], blocksize=b, exact=True)


@maker()
def triangle(g):
    v = g.pick(NUMBERS, 2, 4)
    g.add('Trilu', [v, g.const(np.array(g.number(-3, 3), np.int64)) if g.chance(0.7) else None], upper=g.number(0, 1), exact=True)


@maker()
def eye(g):
    g.add('EyeLike', [g.pick((F32, np.int32, np.int64, F64), 2, 2)], k=g.number(-3, 3), dtype=g.one((None, T.FLOAT, T.INT64)), exact=True)


@maker()
def one_hot(g):
    t = g.one((F32, np.int64))
    depth = g.number(2, 6)
    v = g.new(g.rng.integers(-depth, depth, g.dims(g.number(1, 2))).astype(np.int64))
    g.add('OneHot', [v, g.const(np.array(depth, np.int64)), g.const(np.array([0, 3], t))], axis=g.number(-2, 1), exact=True)


@maker()
def choose(g):
    op = g.one(('NonZero', 'Compress', 'Unique'))
    if op == 'NonZero':
        return g.add(op, [g.pick((F32, np.int32, np.int64, bool), 1, exact=True)])
    v = g.pick((F32, np.int64) if op == 'Unique' else NUMBERS, 1, 4, exact=True)
    axis = None if g.chance(0.4) else g.axis(v)
    if op == 'Unique':
        return g.add(op, [v], n_out=g.number(1, 4), axis=axis, sorted=g.number(0, 1), exact=True)
    n = v.array.size if axis is None else v.array.shape[axis]
    if n == 0:
        raise Refused
    return g.add(op, [v, g.new(g.rng.random(g.number(1, n)) < 0.6)], axis=axis, exact=True)


@maker()
def top_k(g):
    v = g.pick((F32, F64, np.int64, np.int32), 1, exact=True)
    axis = g.axis(v)
    # equal values: ONNX leaves open which index comes first
    spread = g.rng.permutation(v.array.size).reshape(v.array.shape).astype(v.array.dtype)
    v = g.new(spread, False)
    g.add('TopK', [v, g.const(np.array([g.number(0, v.array.shape[axis])], np.int64))], n_out=2, axis=axis, largest=g.number(0, 1), exact=True)


@maker()
def reverse_sequence(g):
    v = g.new(g.numbers(F32, [g.number(1, 4), g.number(1, 4)] + g.dims(g.number(0, 2))), False)
    batch = g.number(0, 1)
    lengths = g.rng.integers(1, v.array.shape[1 - batch] + 1, v.array.shape[batch]) if v.array.size else np.ones(0, np.int64)
    g.add('ReverseSequence', [v, g.new(lengths.astype(np.int64))], batch_axis=batch, time_axis=1 - batch, exact=True)


# -- reductions
@maker(4)
def reduce(g):
    op = g.one(('Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'))
    v = g.pick((F32, F32, F64, np.int32, np.int64) if op not in ('LogSum', 'LogSumExp', 'L2', 'Mean') else (F32, F64))
    axes = g.axes(v) if g.chance(0.8) else None
    if 0 in v.array.shape:
        raise Refused  # undefined for some; for others ONNX Runtime's shape is wrong (ReduceSumSquare of int32[2,3,7,0])
    keep = g.one((None, 0, 1))
    kind = v.array.dtype.kind
    if kind == 'i' and (op == 'Prod' and v.array.size > 8 or np.abs(v.array.astype(np.float64)).max() > 1000):
        raise Refused  # overflow
    if g.opset >= 18 or op == 'Sum':
        empty = g.one((None, 1)) if axes is None else None
        return g.add('Reduce' + op, [v, g.const(np.array(axes, np.int64)) if axes is not None else None], keepdims=keep,
                     noop_with_empty_axes=empty, exact=op in ('Max', 'Min'))
    return g.add('Reduce' + op, [v], axes=axes or None, keepdims=keep, exact=op in ('Max', 'Min'))


@maker()
def arg(g):
    v = g.pick((F32, F64, np.int32, np.int8, np.uint8), 1, exact=True)
    g.add(g.one(('ArgMax', 'ArgMin')), [v], axis=g.axis(v), keepdims=g.one((None, 0)), select_last_index=g.one((None, 1)))


@maker(2)
def softmax(g):
    op = g.one(('Softmax', 'LogSoftmax', 'Hardmax'))
    v = g.pick((F32, F32, F64) if op != 'Hardmax' else (F32,), 1, exact=op == 'Hardmax')
    g.add(op, [v], axis=g.axis(v) if g.chance(0.8) else None, exact=op == 'Hardmax')


@maker()
def cum_sum(g):
    v = g.pick((F32, F64, np.int32, np.int64), 1)
    g.add('CumSum', [v, g.const(np.array(g.axis(v), g.one(INDEX)))], exclusive=g.number(0, 1), reverse=g.number(0, 1))


# -- networks
def image(g, dtype=F32, rank=None, channels=None):
    if channels is None and rank is None:
        fits = [v for v in g.values if v.array.dtype == dtype and 3 <= v.array.ndim <= 5 and v.array.size]
        if fits and g.chance(0.6):
            return g.one(fits)
    rank = rank or g.one((3, 4, 4, 4, 5))
    shape = [g.number(1, 2), channels or g.number(1, 6)] + [g.number(3, 7 if rank < 5 else 4) for _ in range(rank - 2)]
    return g.new(g.numbers(dtype, shape), False)


def window(g, n, dilate=True, most=3):
    """Attributes of a sliding window over n axes."""
    a = {'kernel_shape': [g.number(1, most) for _ in range(n)]}
    if g.chance(0.6):
        a['strides'] = [g.number(1, 3) for _ in range(n)]
    if dilate and g.chance(0.3):
        a['dilations'] = [g.number(1, 2) for _ in range(n)]
    if g.chance(0.25):
        a['auto_pad'] = g.one(('SAME_UPPER', 'SAME_LOWER', 'VALID'))
        if a['auto_pad'].startswith('SAME'):
            a.pop('dilations', None)
    elif g.chance(0.6):
        a['pads'] = [g.number(0, k - 1) for k in a['kernel_shape'] * 2]
    return a


@maker(4)
def conv(g):
    v = image(g, g.one((F32, F32, F32, F64, F16)))
    n, c = v.array.ndim - 2, v.array.shape[1]
    group = g.one([d for d in range(1, c + 1) if c % d == 0]) if g.chance(0.4) else 1
    out = group * g.number(1, 3)
    a = window(g, n)
    t = v.array.dtype.type
    w = g.new(g.numbers(t, [out, c // group] + a['kernel_shape'], -1, 1))
    if g.chance(0.3):
        del a['kernel_shape']
    g.add('Conv', [v, w, g.new(g.numbers(t, [out])) if g.chance(0.5) else None], group=group if group > 1 else None, **a)


@maker(2)
def conv_transpose(g):
    v = image(g)
    n, c = v.array.ndim - 2, v.array.shape[1]
    group = g.one([d for d in range(1, c + 1) if c % d == 0]) if g.chance(0.4) else 1
    out = g.number(1, 3)
    a = window(g, n)
    # SAME with strides beyond the window: ONNX says size = input * stride, ONNX Runtime makes less
    if a.get('auto_pad', '').startswith('SAME') and any(s > k for s, k in zip(a.get('strides', [1] * n), a['kernel_shape'])):
        raise Refused
    w = g.new(g.numbers(F32, [c, out] + a['kernel_shape'], -1, 1))
    if 'auto_pad' not in a and g.chance(0.3) and 'strides' in a:
        a['output_padding'] = [g.number(0, s - 1) for s in a['strides']]
    g.add('ConvTranspose', [v, w, g.new(g.numbers(F32, [out * group])) if g.chance(0.5) else None], group=group if group > 1 else None, **a)


@maker(3)
def pool(g):
    op = g.one(('MaxPool', 'AveragePool', 'LpPool'))
    v = image(g, g.one((F32, F32, F64)) if op == 'MaxPool' else F32)
    a = window(g, v.array.ndim - 2, dilate=op == 'MaxPool' or g.opset >= (19 if op == 'AveragePool' else 18))
    outs = 1
    if op != 'LpPool' or g.opset >= 18:
        a['ceil_mode'] = g.one((None, 1))
    # a window larger than the input: ONNX Runtime divides towards zero and makes one result of it, ONNX's formula has none
    pads = a.get('pads', [0] * 10)
    for i, d in enumerate(v.array.shape[2:]):
        reach = (a['kernel_shape'][i] - 1) * a.get('dilations', [1] * 3)[i] + 1
        most = a.get('strides', [1] * 3)[i] - 1 if a.get('ceil_mode') else 0
        if d + most + pads[i] + pads[i + v.array.ndim - 2] < reach and not a.get('auto_pad', '').startswith('SAME'):
            raise Refused
    if op == 'AveragePool':
        a['count_include_pad'] = g.one((None, 1))
    if op == 'LpPool':
        a['p'] = g.number(1, 3)
    # strides beyond the window: ONNX Runtime begins at a negative SAME padding, or refuses it; TensorFlow and ours at 0
    if a.get('auto_pad', '').startswith('SAME') and any(s > k for s, k in zip(a.get('strides', [1] * 3), a['kernel_shape'])):
        raise Refused
    if op == 'MaxPool' and g.chance(0.3):
        outs, a['storage_order'] = 2, g.one((None, 1))
        if not v.exact:
            raise Refused
    g.add(op, [v], n_out=outs, exact=op == 'MaxPool', **a)


@maker()
def global_pool(g):
    op = g.one(('GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'))
    g.add(op, [image(g)], p=g.number(1, 3) if op == 'GlobalLpPool' else None, exact=op == 'GlobalMaxPool')


@maker(2)
def norm(g):
    op = g.one(('BatchNormalization', 'InstanceNormalization', 'LRN', 'LayerNormalization', 'MeanVarianceNormalization',
                'LpNormalization', 'GroupNormalization'))
    if op == 'LpNormalization':
        v = g.pick((F32,), 1)
        return g.add(op, [v], axis=g.axis(v), p=g.number(1, 2))
    if op == 'LayerNormalization':
        if g.opset < 17:
            raise Refused
        v = g.pick((F32, F64), 1)
        axis = g.axis(v)
        shape, t = v.array.shape[axis % v.array.ndim:], v.array.dtype.type
        return g.add(op, [v, g.new(g.numbers(t, shape)), g.new(g.numbers(t, shape)) if g.chance(0.5) else None],
                     n_out=g.one((1, 1, 3)) if t == F32 else 1, axis=axis, epsilon=0.01)
    v = image(g)
    c = v.array.shape[1]

    def of_channels():
        return g.new(g.numbers(F32, [c]))
    if op == 'BatchNormalization':
        return g.add(op, [v, of_channels(), of_channels(), of_channels(), g.new(g.numbers(F32, [c], 0.25, 2))], epsilon=0.01)
    if op == 'InstanceNormalization':
        return g.add(op, [v, of_channels(), of_channels()], epsilon=0.01)
    if op == 'LRN':
        return g.add(op, [v], size=g.number(1, 3) * 2 - 1, alpha=0.1, beta=0.5, bias=1.5)
    if op == 'GroupNormalization':
        if g.opset < 21:
            raise Refused
        return g.add(op, [v, of_channels(), of_channels()], num_groups=g.one([d for d in range(1, c + 1) if c % d == 0]), epsilon=0.01)
    return g.add(op, [v], axes=g.one((None, [0, 2], [1], [0, 1, 2])))


@maker(3)
def mat_mul(g):
    v = g.pick((F32, F32, F32, F64, np.int32, F16), 1, 4)
    k = v.array.shape[-1]
    lead = [d if g.chance(0.6) else 1 for d in v.array.shape[:-2]] if g.chance(0.6) else []
    g.add('MatMul', [v, g.new(g.numbers(v.array.dtype.type, lead + [k] + ([g.number(1, 5)] if g.chance(0.9) or lead else [])))])


@maker(2)
def gemm(g):
    v = g.pick((F32, F32, F64), 2, 2)
    ta, tb = g.number(0, 1), g.number(0, 1)
    m, k = v.array.shape[::-1] if ta else v.array.shape
    n, t = g.number(1, 6), v.array.dtype.type
    c = g.new(g.numbers(t, g.one(([n], [m, n], [1, n], [m, 1], [], [1])))) if g.chance(0.6) else None
    g.add('Gemm', [v, g.new(g.numbers(t, [n, k] if tb else [k, n])), c], transA=ta, transB=tb,
          alpha=g.one((None, 0.5)), beta=g.one((None, 2.0, 0.0)))


@maker()
def einsum(g):
    eq, shapes = g.one((('ij,jk->ik', ('ab', 'bc')), ('bij,bjk->bik', ('dab', 'dbc')), ('ij->ji', ('ab',)), ('ii->i', ('aa',)), ('ij,kj', ('ab', 'cb')),
                        ('...ij,...jk->...ik', ('dab', 'dbc')), ('i,j->ij', ('a', 'b')), ('bij->b', ('dab',)), ('ij,ij->', ('ab', 'ab')),
                        ('bhid,bhjd->bhij', ('deac', 'debc'))))
    size = {x: g.number(1, 5) for x in 'abcde'}
    g.add('Einsum', [g.new(g.numbers(F32, [size[x] for x in s]), False) for s in shapes], equation=eq)


@maker(3)
def resize(g):
    v = image(g)
    rank = v.array.ndim
    mode = g.one(('nearest', 'linear', 'cubic'))
    if mode == 'cubic' and rank != 4 or mode == 'linear' and rank > 5:
        raise Refused
    coord = g.one(('half_pixel', 'asymmetric', 'align_corners', 'pytorch_half_pixel') + (('half_pixel_symmetric',) if g.opset >= 19 else ()))
    a = {'mode': mode, 'coordinate_transformation_mode': coord}
    if mode == 'nearest':
        a['nearest_mode'] = g.one(('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'))
    if mode == 'cubic':
        a['cubic_coeff_a'], a['exclude_outside'] = g.one((None, -0.5)), g.one((None, 1)) if coord != 'align_corners' else None
    scales = [1.0, 1.0] + [g.one((0.5, 1.0, 1.5, 2.0, 3.0)) for _ in range(rank - 2)]
    # align_corners: ONNX Runtime divides by the rounded size, ONNX's suite (resize_downsample_scales_linear_align_corners)
    # by the exact one
    broken = coord == 'align_corners' and any((d * s) % 1 for d, s in zip(v.array.shape, scales))
    if g.chance(0.5) and not broken:
        return g.add('Resize', [v, None, g.const(np.array(scales, F32))], **a)
    sizes = [int(d * s) for d, s in zip(v.array.shape, scales)]
    # ONNX Runtime's float scale puts a point that lies on a pixel beside it where size / dim is not exact
    if mode == 'nearest' and any(float(F32(n / d)) != n / d for n, d in zip(sizes, v.array.shape)):
        raise Refused
    return g.add('Resize', [v, None, None, g.const(np.array(sizes, np.int64))], **a)


@maker(2)
def recurrent(g):
    op, gates = g.one((('LSTM', 4), ('GRU', 3), ('RNN', 1)))
    direction = g.one(('forward', 'reverse', 'bidirectional'))
    nd = 2 if direction == 'bidirectional' else 1
    s, b, i, h = g.number(1, 4), g.number(1, 3), g.number(1, 4), g.number(1, 4)
    new = lambda *shape: g.new(g.numbers(F32, shape, -1, 1))
    lengths = g.new(g.rng.integers(1, s + 1, b).astype(np.int32)) if g.chance(0.3) else None
    operands = [g.new(g.numbers(F32, [s, b, i]), False), new(nd, gates * h, i), new(nd, gates * h, h),
                new(nd, 2 * gates * h) if g.chance(0.7) else None, lengths, new(nd, b, h) if g.chance(0.5) else None]
    if op == 'LSTM':
        operands += [new(nd, b, h) if g.chance(0.5) else None, new(nd, 3 * h) if g.chance(0.3) else None]
    g.add(op, operands, n_out=3 if op == 'LSTM' else 2, hidden_size=h, direction=direction,
          linear_before_reset=g.one((None, 1)) if op == 'GRU' else None, clip=g.one((None, None, 0.75)))


@maker()
def grid_sample(g):
    if g.opset < 16:
        raise Refused
    v = image(g, rank=4)
    modes = ('bilinear', 'nearest', 'bicubic') if g.opset < 20 else ('linear', 'nearest', 'cubic')
    grid = g.new((g.rng.uniform(-1.2, 1.2, [v.array.shape[0], g.number(1, 4), g.number(1, 4), 2])).astype(F32))
    g.add('GridSample', [v, grid], mode=g.one(modes), padding_mode=g.one(('zeros', 'border', 'reflection')), align_corners=g.number(0, 1))


@maker()
def determinant(g):
    n = g.number(1, 4)
    g.add('Det', [g.new(g.numbers(F32, g.dims(g.number(0, 2)) + [n, n]), False)])


@maker()
def fourier(g):
    if g.opset < 17:
        raise Refused
    v = g.new(g.numbers(F32, [g.number(1, 3), g.number(2, 9), g.number(1, 2)]), False)
    inverse = g.number(0, 1)
    g.add('DFT', [v, g.const(np.array(g.number(2, 9), np.int64)) if g.chance(0.3) else None],
          onesided=1 if v.array.shape[2] == 1 and not inverse and g.chance(0.5) else None, inverse=inverse or None)


@maker()
def roi_align(g):
    v = image(g, rank=4)
    n = g.number(1, 3)
    low = g.rng.uniform(0, 2, [n, 2])
    rois = np.concatenate([low, low + g.rng.uniform(0.5, 4, [n, 2])], 1).astype(F32)
    g.add('RoiAlign', [v, g.new(rois), g.new(g.rng.integers(0, v.array.shape[0], n).astype(np.int64))], mode=g.one(('avg', 'max')),
          output_height=g.number(1, 3), output_width=g.number(1, 3), sampling_ratio=g.number(0, 2), spatial_scale=g.one((1.0, 0.5)),
          coordinate_transformation_mode=g.one(('half_pixel', 'output_half_pixel')) if g.opset >= 16 else None)


@maker()
def suppress(g):
    n, classes = g.number(1, 6), g.number(1, 3)
    boxes = g.numbers(F32, [1, n, 4], 0, 8)
    scores = (g.rng.permutation(classes * n).reshape(1, classes, n) / (classes * n)).astype(F32)
    g.add('NonMaxSuppression', [g.new(boxes, False), g.new(scores, False), g.const(np.array([g.number(1, 4)], np.int64)),
                                g.const(np.array([0.4], F32)), g.const(np.array([0.2], F32)) if g.chance(0.5) else None],
          center_point_box=g.number(0, 1))


# -- quantisation
@maker(2)
def quantize(g):
    t = g.one((np.uint8, np.int8))
    v = g.pick((F32,), 1, exact=True)
    axis = g.axis(v)
    n = v.array.shape[axis] if g.chance(0.4) else None
    scale = g.new(np.full([n] if n else [], 0.0625 * g.number(1, 4), F32), True)
    g.add('QuantizeLinear', [v, scale, g.new(np.full([n] if n else [], g.number(0, 9), t), True)], axis=axis if n else None)


@maker(2)
def dequantize(g):
    v = g.pick((np.uint8, np.int8), 1)
    axis = g.axis(v)
    n = v.array.shape[axis] if g.chance(0.4) else None
    scale = g.new(np.full([n] if n else [], 0.0625 * g.number(1, 4), F32), True)
    g.add('DequantizeLinear', [v, scale, g.new(np.full([n] if n else [], g.number(0, 9), v.array.dtype), True)],
          axis=axis if n else None, exact=True)


@maker()
def dynamic_quantize(g):
    g.add('DynamicQuantizeLinear', [g.pick((F32,), 1, exact=True)], n_out=3)


@maker()
def integer_product(g):
    v = g.pick((np.uint8, np.int8), 2, 3)
    if v.array.shape[-1] == 0:
        raise Refused  # ONNX Runtime leaves the result unset
    t = g.one((np.uint8, np.int8))
    w = g.new(g.numbers(t, [v.array.shape[-1], g.number(1, 5)]))
    zeros = [g.const(np.array(g.number(0, 5), v.array.dtype)), g.const(np.array(g.number(0, 5), t))]
    if g.chance(0.5):
        return g.add('MatMulInteger', [v, w] + zeros[:g.number(0, 2)])
    scale = lambda: g.const(np.array(0.0625 * g.number(1, 4), F32))
    return g.add('QLinearMatMul', [v, scale(), zeros[0], w, scale(), zeros[1], scale(), g.const(np.array(3, v.array.dtype))])


@maker()
def integer_conv(g):
    c, out = g.number(1, 3), g.number(1, 4)
    v = g.new(g.numbers(np.uint8, [1, c, g.number(3, 6), g.number(3, 6)]), False)
    a = window(g, 2)
    w = g.new(g.numbers(np.uint8 if g.chance(0.5) else np.int8, [out, c] + a['kernel_shape']), True)
    zeros = [g.const(np.array(g.number(0, 5), np.uint8)), g.const(np.array(g.number(0, 5), w.array.dtype))]
    if g.chance(0.5) and w.array.dtype == np.uint8:
        return g.add('ConvInteger', [v, w] + zeros[:g.number(0, 2)], **a)
    scale = lambda: g.const(np.array(0.0625 * g.number(1, 4), F32))
    return g.add('QLinearConv', [v, scale(), zeros[0], w, scale(), zeros[1], scale(), g.const(np.array(3, np.uint8)),
                                 g.const(g.numbers(np.int32, [out])) if g.chance(0.5) else None], **a)


# -- the cases ----------------------------------------------------------------------------------------------------
def make(folder, number, seed):
    """One case; None, or why the graph was dropped."""
    g = Graph(np.random.default_rng([seed, number]))
    if not g.grow():
        return 'too few operators'
    # the rank is told, the dims are left to be inferred
    infos = [helper.make_tensor_value_info(v.name, helper.np_dtype_to_tensor_dtype(v.array.dtype), [None] * v.array.ndim) for v in g.outputs]
    model = g.model(g.nodes, g.inputs, g.constants, infos)
    try:
        onnx.checker.check_model(model)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
        results = g.run(model, g.inputs)
    except Exception as error:
        return str(error).splitlines()[0]
    case = os.path.join(folder, f'random_{seed}_{number:05d}')
    data = os.path.join(case, 'test_data_set_0')
    os.makedirs(data)
    onnx.save(model, os.path.join(case, 'model.onnx'))
    for kind, arrays in (('input', [v.array for v in g.inputs]), ('output', results)):
        for i, a in enumerate(arrays):
            with open(os.path.join(data, f'{kind}_{i}.pb'), 'wb') as f:
                f.write(numpy_helper.from_array(np.ascontiguousarray(a).reshape(a.shape)).SerializeToString())
    # float16: ONNX Runtime rounds between the steps of an operator or of a chain, ours at the end of each operator
    half = any(v.array.dtype == F16 for v in g.values)
    with open(os.path.join(case, 'tolerance.json'), 'w') as f:
        json.dump({'rtol': 8e-3 if half else 1e-4, 'atol': 4e-3 if half else 1e-5, 'of_range': 1}, f)
    return None


def main():
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    first = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    np.seterr(all='ignore')
    made, number, dropped = 0, first, {}
    while made < count:
        why = make(folder, number, seed)
        number += 1
        made += why is None
        if why:
            dropped[why] = dropped.get(why, 0) + 1
    print(f'{made} graphs of seed {seed}, {sum(dropped.values())} dropped')
    for why, n in sorted(dropped.items(), key=lambda x: -x[1])[:10]:
        print(f'  {n} {why}')


if __name__ == '__main__':
    main()
