"""Operators of com.microsoft, one small model each: ours against ONNX Runtime, read and written back as standard ONNX."""
import glob
import os

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, slipway
from onnx import TensorProto as T, helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
rng = np.random.default_rng(5)


def f32(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def u8(*shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def i8(*shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def s(v):
    return np.float32(v)


def z(v):
    return np.uint8(v)


X, W = f32(1, 4, 6, 6), f32(8, 4, 3, 3) * s(0.2)
A, B = f32(2, 5, 8), f32(8, 6)
H = f32(2, 5, 8)
# name: (operator, operands (None: absent), attributes, element type of the result, steps allowed in an integer one)
CASES = {
    'fused-conv-relu': ('FusedConv', [X, W, f32(8)], {'activation': 'Relu', 'pads': [1, 1, 1, 1]}, T.FLOAT),
    'fused-conv-leaky': ('FusedConv', [X, W], {'activation': 'LeakyRelu', 'activation_params': [0.2]}, T.FLOAT),
    'fused-conv-clip': ('FusedConv', [X, W, f32(8)], {'activation': 'Clip', 'activation_params': [-0.5, 0.5]}, T.FLOAT),
    'fused-conv-sum': ('FusedConv', [X, W, f32(8), f32(1, 8, 4, 4)], {'activation': 'Relu'}, T.FLOAT),
    'fused-gemm': ('FusedGemm', [f32(3, 8), B, f32(6)], {'activation': 'Relu'}, T.FLOAT),
    'fused-matmul': ('FusedMatMul', [A, f32(2, 6, 8)], {'transB': 1, 'alpha': 0.5}, T.FLOAT),
    'fused-matmul-a': ('FusedMatMul', [f32(2, 8, 5), f32(2, 8, 6)], {'transA': 1}, T.FLOAT),
    'gelu': ('Gelu', [A], {}, T.FLOAT),
    'fast-gelu': ('FastGelu', [A, f32(8)], {}, T.FLOAT),
    'bias-gelu': ('BiasGelu', [A, f32(8)], {}, T.FLOAT),
    'quick-gelu': ('QuickGelu', [A], {}, T.FLOAT),
    'skip-layer-norm': ('SkipLayerNormalization', [H, f32(2, 5, 8), f32(8), f32(8), f32(8)], {'epsilon': 1e-5}, T.FLOAT),
    'skip-simple-norm': ('SkipSimplifiedLayerNormalization', [H, f32(2, 5, 8), f32(8)], {'epsilon': 1e-5}, T.FLOAT),
    'embed-layer-norm': ('EmbedLayerNormalization',
                         [np.array([[1, 3, 2]], np.int32), np.array([[0, 1, 1]], np.int32), f32(9, 8), f32(5, 8),
                          f32(2, 8), f32(8), f32(8)], {'epsilon': 1e-5}, T.FLOAT),
    'matmul-integer-to-float': ('MatMulIntegerToFloat', [u8(3, 8) // 2, i8(8, 6) // 2, s(0.02), s(0.01), z(60), np.int8(3), f32(6)],
                                {}, T.FLOAT),
    'qlinear-add': ('QLinearAdd', [u8(3, 8), s(0.02), z(120), u8(3, 8), s(0.03), z(110), s(0.05), z(128)], {}, T.UINT8, 1),
    'qlinear-mul': ('QLinearMul', [u8(3, 8), s(0.02), z(120), u8(3, 8), s(0.03), z(110), s(0.08), z(128)], {}, T.UINT8, 1),
    'qlinear-sigmoid': ('QLinearSigmoid', [u8(3, 8), s(0.05), z(128), s(1 / 256), z(0)], {}, T.UINT8, 1),
    'qlinear-leaky-relu': ('QLinearLeakyRelu', [u8(3, 8), s(0.05), z(128), s(0.04), z(100)], {'alpha': 0.1}, T.UINT8, 1),
    'qlinear-concat': ('QLinearConcat', [s(0.06), z(120), u8(3, 8), s(0.02), z(120), u8(3, 4), s(0.03), z(110)], {'axis': 1}, T.UINT8, 1),
    'qlinear-average-pool': ('QLinearAveragePool', [u8(1, 4, 6, 6), s(0.02), z(120), s(0.02), z(120)],
                             {'kernel_shape': [2, 2], 'strides': [2, 2]}, T.UINT8, 1),
    'qlinear-global-average-pool': ('QLinearGlobalAveragePool', [u8(1, 4, 6, 6), s(0.02), z(120), s(0.01), z(120)], {}, T.UINT8, 1),
}


def build(name, op, operands, attributes, elem):
    """The first operand is an input, the others initializers."""
    first = next(i for i, x in enumerate(operands) if np.ndim(x) > 1)
    names = ['' if x is None else f'x{i}' for i, x in enumerate(operands)]
    kind = helper.np_dtype_to_tensor_dtype(operands[first].dtype)
    graph = helper.make_graph(
        [helper.make_node(op, names, ['y', 'm'] if op.startswith('Embed') else ['y'], name='it', domain='com.microsoft', **attributes)], name,
        [helper.make_tensor_value_info(names[first], kind, operands[first].shape)],
        [helper.make_tensor_value_info('y', elem, None)],
        [numpy_helper.from_array(np.asarray(x), names[i]) for i, x in enumerate(operands) if x is not None and i != first])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 17), helper.make_opsetid('com.microsoft', 1)])
    path = f'{OUT}/{name}.onnx'
    onnx.save(model, path)
    os.makedirs(f'{OUT}/{name}_in')
    np.save(f'{OUT}/{name}_in/0.npy', operands[first])
    return path, {names[first]: operands[first]}


def differs(a, b, steps):
    if a.shape != b.shape or a.dtype != b.dtype:
        return f'{a.dtype}{a.shape} and {b.dtype}{b.shape}'
    apart = np.abs(a.astype(np.float64) - b.astype(np.float64)).max()
    # the 8-bit tables of ONNX Runtime round on their own: one step
    allowed = steps if steps else 1e-4 * max(1.0, float(np.ptp(a)))
    return f'apart by {apart}' if apart > allowed else None


def one(name):
    op, operands, attributes, elem, *steps = CASES[name]
    path, feed = build(name, op, operands, attributes, elem)
    want = onnxruntime.InferenceSession(path).run(None, feed)[0]
    status, _, said = slipway('run', path, '--inputs', f'{OUT}/{name}_in', '--out', f'{OUT}/{name}_out', '--engine', 'ref',
                              *(['--native-outputs'] if steps else []))
    if status:
        return f'run ended with {status}: {said[:200]}'
    why = differs(want, np.load(glob.glob(f'{OUT}/{name}_out/Result_0/*.npy')[0]), steps[0] if steps else 0)
    if why:
        return why
    status, _, said = slipway('convert', path, '-o', f'{OUT}/{name}_b.onnx')
    if status:
        return f'convert ended with {status}: {said[:200]}'
    copy = onnx.load(f'{OUT}/{name}_b.onnx')
    if any(n.domain for n in copy.graph.node):
        return 'the copy still has operators of com.microsoft'
    onnx.checker.check_model(copy, full_check=True)
    got = onnxruntime.InferenceSession(f'{OUT}/{name}_b.onnx').run(None, feed)[0]
    return differs(want, got, steps[0] if steps else 0)


judge.each([(f'contrib-{name}', lambda name=name: one(name)) for name in CASES])
