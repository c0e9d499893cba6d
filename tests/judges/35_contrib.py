"""Operators of com.microsoft, one small model each: ours against ONNX Runtime, read and written back as standard ONNX."""
import os

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, SHARED, slipway
from onnx import TensorProto as T, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

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


def i32(*v):
    return np.array(v, np.int32)


X, W = f32(1, 4, 6, 6), f32(8, 4, 3, 3) * s(0.2)
A, B = f32(2, 5, 8), f32(8, 6)
W8 = f32(8, 24)
KEEP = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
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
    'attention': ('Attention', [f32(2, 5, 8), W8, f32(24)], {'num_heads': 2}, T.FLOAT),
    'attention-causal': ('Attention', [f32(2, 5, 8), W8, f32(24)], {'num_heads': 2, 'unidirectional': 1}, T.FLOAT),
    'attention-scale': ('Attention', [f32(2, 5, 8), W8, f32(24)], {'num_heads': 4, 'scale': 0.3}, T.FLOAT),
    'attention-mask-2d': ('Attention', [f32(2, 5, 8), W8, f32(24), KEEP], {'num_heads': 2}, T.FLOAT),
    'attention-mask-3d': ('Attention', [f32(2, 5, 8), W8, f32(24), KEEP[:, None, :] * np.ones((2, 5, 1), np.int32)], {'num_heads': 2}, T.FLOAT),
    'attention-mask-ends': ('Attention', [f32(2, 5, 8), W8, f32(24), i32(3, 5)], {'num_heads': 2}, T.FLOAT),
    'attention-mask-ends-starts': ('Attention', [f32(2, 5, 8), W8, f32(24), i32(5, 4, 1, 0)], {'num_heads': 2}, T.FLOAT),
    'attention-past': ('Attention', [f32(2, 3, 8), W8, f32(24), None, f32(2, 2, 2, 4, 4)], {'num_heads': 2, 'unidirectional': 1}, T.FLOAT),
    'attention-past-mask': ('Attention', [f32(2, 1, 8), W8, f32(24), KEEP, f32(2, 2, 2, 4, 4)], {'num_heads': 2, 'unidirectional': 1}, T.FLOAT),
    'attention-sizes': ('Attention', [f32(2, 5, 8), f32(8, 28), f32(28)], {'num_heads': 2, 'qkv_hidden_sizes': [8, 8, 12]}, T.FLOAT),
    'attention-bias': ('Attention', [f32(2, 5, 8), W8, f32(24), None, None, f32(1, 2, 5, 5)], {'num_heads': 2}, T.FLOAT),
    'mha': ('MultiHeadAttention', [f32(2, 5, 8), f32(2, 6, 8), f32(2, 6, 8)], {'num_heads': 2}, T.FLOAT),
    'mha-bias': ('MultiHeadAttention', [f32(2, 5, 8), f32(2, 6, 8), f32(2, 6, 12), f32(28)], {'num_heads': 2}, T.FLOAT),
    'mha-causal': ('MultiHeadAttention', [f32(2, 5, 8), f32(2, 5, 8), f32(2, 5, 8)], {'num_heads': 2, 'unidirectional': 1}, T.FLOAT),
    'mha-mask': ('MultiHeadAttention', [f32(2, 5, 8), f32(2, 5, 8), f32(2, 5, 8), None, KEEP], {'num_heads': 2, 'mask_filter_value': -1000.0}, T.FLOAT),
    'mha-mask-ends': ('MultiHeadAttention', [f32(2, 5, 8), f32(2, 5, 8), f32(2, 5, 8), None, i32(4, 2)], {'num_heads': 2}, T.FLOAT),
    'mha-attention-bias': ('MultiHeadAttention', [f32(2, 5, 8), f32(2, 6, 8), f32(2, 6, 8), None, None, f32(2, 2, 5, 6)], {'num_heads': 2}, T.FLOAT),
    'mha-past': ('MultiHeadAttention', [f32(2, 3, 8), f32(2, 3, 8), f32(2, 3, 8), None, None, None, f32(2, 2, 4, 4), f32(2, 2, 4, 4)],
                 {'num_heads': 2}, T.FLOAT),
    'mha-cross-4d': ('MultiHeadAttention', [f32(2, 5, 8), f32(2, 2, 6, 4), f32(2, 2, 6, 4)], {'num_heads': 2}, T.FLOAT),
    'rotary-3d': ('RotaryEmbedding', [f32(2, 5, 16), np.arange(10).reshape(2, 5), f32(12, 4), f32(12, 4)], {'num_heads': 2}, T.FLOAT),
    'rotary-offset': ('RotaryEmbedding', [f32(2, 5, 16), np.array([3]), f32(12, 4), f32(12, 4)], {}, T.FLOAT),
    'rotary-4d-interleaved': ('RotaryEmbedding', [f32(2, 3, 5, 8), np.arange(10).reshape(2, 5), f32(12, 4), f32(12, 4)], {'interleaved': 1}, T.FLOAT),
    'rotary-partial': ('RotaryEmbedding', [f32(2, 5, 16), np.arange(10).reshape(2, 5), f32(12, 2), f32(12, 2)],
                       {'num_heads': 2, 'rotary_embedding_dim': 4}, T.FLOAT),
    'gqa': ('GroupQueryAttention', [f32(2, 5, 32), f32(2, 5, 16), f32(2, 5, 16), None, None, i32(4, 4), np.int32(5)],
            {'num_heads': 4, 'kv_num_heads': 2}, T.FLOAT),
    'gqa-rotary-packed': ('GroupQueryAttention', [f32(1, 5, 4 * 16 + 2 * 32), None, None, None, None, i32(4), np.int32(5), f32(12, 8), f32(12, 8)],
                          {'num_heads': 4, 'kv_num_heads': 2, 'do_rotary': 1}, T.FLOAT),
    'gqa-past': ('GroupQueryAttention', [f32(2, 1, 32), f32(2, 1, 16), f32(2, 1, 16), f32(2, 2, 4, 8), f32(2, 2, 4, 8), i32(4, 4), np.int32(5)],
                 {'num_heads': 4, 'kv_num_heads': 2, 'scale': 0.4}, T.FLOAT),
    'gqa-past-rotary': ('GroupQueryAttention', [f32(2, 1, 64), f32(2, 1, 32), f32(2, 1, 32), f32(2, 2, 4, 16), f32(2, 2, 4, 16), i32(4, 4),
                                                np.int32(5), f32(12, 8), f32(12, 8)],
                        {'num_heads': 4, 'kv_num_heads': 2, 'do_rotary': 1, 'rotary_interleaved': 1}, T.FLOAT),
    'gqa-uneven-window': ('GroupQueryAttention', [f32(2, 1, 32), f32(2, 1, 16), f32(2, 1, 16), f32(2, 2, 6, 8), f32(2, 2, 6, 8), i32(4, 2), np.int32(5)],
                          {'num_heads': 4, 'kv_num_heads': 2, 'local_window_size': 3, 'softcap': 5.0}, T.FLOAT),
    'matmul-4-bits': ('MatMulNBits', [f32(2, 3, 64), u8(6, 2, 16), f32(12) * s(0.1)], {'K': 64, 'N': 6, 'bits': 4, 'block_size': 32}, T.FLOAT),
    'matmul-4-bits-zeros': ('MatMulNBits', [f32(3, 96), u8(6, 3, 16), f32(18) * s(0.1), u8(12), None, f32(6)],
                            {'K': 96, 'N': 6, 'bits': 4, 'block_size': 32}, T.FLOAT),
    'matmul-4-bits-float-zeros': ('MatMulNBits', [f32(3, 64), u8(6, 2, 16), f32(12) * s(0.1), f32(12) + s(8)],
                                  {'K': 64, 'N': 6, 'bits': 4, 'block_size': 32}, T.FLOAT),
    'matmul-4-bits-padded': ('MatMulNBits', [f32(3, 50), u8(6, 2, 16), f32(12) * s(0.1)], {'K': 50, 'N': 6, 'bits': 4, 'block_size': 32}, T.FLOAT),
    'matmul-8-bits': ('MatMulNBits', [f32(3, 64), u8(6, 2, 32), f32(12) * s(0.01), u8(12)], {'K': 64, 'N': 6, 'bits': 8, 'block_size': 32}, T.FLOAT),
    'gather-4-bits': ('GatherBlockQuantized', [u8(9, 16), np.array([[1, 8], [3, 0]]), f32(9, 1)],
                      {'bits': 4, 'block_size': 32, 'gather_axis': 0, 'quantize_axis': 1}, T.FLOAT),
    'dynamic-quantize-matmul': ('DynamicQuantizeMatMul', [f32(3, 8), i8(8, 6) // 2, s(0.01), np.int8(3), f32(6)], {}, T.FLOAT),
    'qattention': ('QAttention', [u8(2, 5, 8) // 2, i8(8, 24) // 2, f32(24), s(0.02), s(0.01), None, z(60), np.int8(2)], {'num_heads': 2}, T.FLOAT),
    'qgemm': ('QGemm', [u8(3, 8) // 2, s(0.02), z(60), i8(8, 6) // 2, s(0.01), np.int8(0), np.arange(6, dtype=np.int32) * 50, s(0.05), z(128)], {}, T.UINT8, 1),
    'qgemm-float': ('QGemm', [u8(3, 8) // 2, s(0.02), z(60), i8(6, 8) // 2, s(0.01), np.int8(0)], {'transB': 1, 'alpha': 0.5}, T.FLOAT),
    'qlinear-softmax': ('QLinearSoftmax', [u8(3, 8), s(0.05), z(128), s(1 / 256), z(0)], {'axis': -1, 'opset': 13}, T.UINT8, 1),
    'qlinear-softmax-12': ('QLinearSoftmax', [u8(3, 2, 4), s(0.05), z(128), s(1 / 256), z(0)], {'axis': 1, 'opset': 12}, T.UINT8, 1),
    'qlinear-where': ('QLinearWhere', [rng.integers(0, 2, (3, 8)).astype(bool), u8(3, 8), s(0.02), z(120), u8(3, 8), s(0.03), z(110), s(0.05), z(128)],
                      {}, T.UINT8, 1),
    'qlinear-conv-last': ('QLinearConv', [u8(1, 6, 6, 4), s(0.02), z(120), u8(8, 4, 3, 3), s(0.01), z(128), s(0.1), z(100)],
                          {'channels_last': 1}, T.UINT8, 1),
    'qlinear-average-pool-last': ('QLinearAveragePool', [u8(1, 6, 6, 4), s(0.02), z(120), s(0.02), z(120)],
                                  {'kernel_shape': [2, 2], 'channels_last': 1}, T.UINT8, 1),
    'qlinear-global-average-pool-last': ('QLinearGlobalAveragePool', [u8(1, 6, 6, 4), s(0.02), z(120), s(0.01), z(120)],
                                         {'channels_last': 1}, T.UINT8, 1),
    'nhwc-max-pool': ('NhwcMaxPool', [u8(1, 6, 6, 4)], {'kernel_shape': [3, 3], 'strides': [2, 2]}, T.UINT8, 0),
    'quantize-16': ('QuantizeLinear', [f32(3, 8), s(0.001), np.uint16(32768)], {}, T.UINT16, 1),
    'dequantize-16': ('DequantizeLinear', [rng.integers(-30000, 30000, (3, 8)).astype(np.int16), s(0.001), np.int16(100)], {}, T.FLOAT),
    'trilu': ('Trilu', [A], {'upper': 0}, T.FLOAT),
    'trilu-k': ('Trilu', [A, np.array(1)], {}, T.FLOAT),
    'pad': ('Pad', [f32(2, 3), np.array([0, 1, 1, 0]), s(2)], {'mode': 'constant'}, T.FLOAT),
    'expand-dims': ('ExpandDims', [A, np.array(-1, np.int32)], {}, T.FLOAT),
    'transpose-matmul': ('TransposeMatMul', [f32(2, 8, 5), f32(2, 8, 6)], {'transA': 1, 'alpha': 2.0}, T.FLOAT),
    'fused-matmul-batch': ('FusedMatMul', [f32(5, 2, 8), f32(8, 2, 6)], {'transBatchA': 1, 'transBatchB': 1}, T.FLOAT),
    'skip-layer-norm-plain': ('SkipLayerNormalization', [H, f32(2, 5, 8), f32(8)], {}, T.FLOAT),
    'skip-layer-norm-broadcast': ('SkipLayerNormalization', [H, f32(1, 5, 8), f32(8), f32(8)], {}, T.FLOAT),
    'fused-gemm-more': ('FusedGemm', [f32(8, 3), f32(6, 8), f32(6)], {'activation': 'LeakyRelu', 'activation_alpha': 0.2, 'transA': 1, 'transB': 1,
                                                                   'alpha': 0.5, 'beta': 2.0}, T.FLOAT),
    'fused-conv-hard-sigmoid': ('FusedConv', [X, W, f32(8)], {'activation': 'HardSigmoid', 'activation_params': [0.2, 0.5]}, T.FLOAT),
    'fused-conv-sigmoid': ('FusedConv', [X, W[:, :1], f32(8)], {'activation': 'Sigmoid', 'group': 4, 'strides': [2, 2]}, T.FLOAT),
    'quick-gelu-1': ('QuickGelu', [A], {'alpha': 1.0}, T.FLOAT),
    'fast-gelu-plain': ('FastGelu', [A], {}, T.FLOAT),
    'layer-norm': ('LayerNormalization', [A, f32(8), f32(8)], {'domain': ''}, T.FLOAT),
    'simple-norm': ('SimplifiedLayerNormalization', [A, f32(8)], {'domain': '', 'epsilon': 1e-4}, T.FLOAT),
    'qlinear-global-average-pool': ('QLinearGlobalAveragePool', [u8(1, 4, 6, 6), s(0.02), z(120), s(0.01), z(120)], {}, T.UINT8, 1),
}


RUNTIME = {  # operands that are inputs of the model beside the first of more than one dim, by operator
    'MultiHeadAttention': range(10), 'GroupQueryAttention': range(7), 'RotaryEmbedding': [0, 1], 'Attention': [0, 3, 4, 5], 'QLinearWhere': [0, 1, 4],
    'QLinearAdd': [0, 3], 'QLinearMul': [0, 3], 'SkipLayerNormalization': [0, 1], 'GatherBlockQuantized': [1], 'QLinearConcat': [2, 5],
}
RESULTS = {'EmbedLayerNormalization': ['y', 'm'], 'GroupQueryAttention': ['y', 'k', 'v']}


def results_of(op, operands):
    past = op == 'MultiHeadAttention' and len(operands) > 6, op == 'Attention' and len(operands) > 4 and operands[4] is not None
    return ['y', 'k', 'v'] if past[0] else ['y', 'p'] if past[1] else RESULTS.get(op, ['y'])


def build(name, op, operands, attributes, elem):
    """What RUNTIME names is an input (else the first matrix), the others are initializers."""
    first = next(i for i, x in enumerate(operands) if np.ndim(x) > 1)
    names = ['' if x is None else f'x{i}' for i, x in enumerate(operands)]
    live = [i for i in RUNTIME.get(op, [first]) if i < len(operands) and operands[i] is not None]
    attributes = dict(attributes)
    domain = attributes.pop('domain', 'com.microsoft')
    results = results_of(op, operands)
    graph = helper.make_graph(
        [helper.make_node(op, names, results, name='it', domain=domain, **attributes)], name,
        [helper.make_tensor_value_info(names[i], helper.np_dtype_to_tensor_dtype(operands[i].dtype), operands[i].shape) for i in live],
        [helper.make_tensor_value_info(y, T.INT32 if y == 'm' else elem, None) for y in results],
        [numpy_helper.from_array(np.asarray(x), names[i]) for i, x in enumerate(operands) if x is not None and i not in live])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid('', 17), helper.make_opsetid('com.microsoft', 1)])
    path = f'{OUT}/{name}.onnx'
    onnx.save(model, path)
    folder = f'{OUT}/{name}_in/test_data_set_0'
    os.makedirs(folder)
    for k, i in enumerate(live):
        with open(f'{folder}/input_{k}.pb', 'wb') as f:
            f.write(numpy_helper.from_array(np.asarray(operands[i])).SerializeToString())
    return path, {names[i]: np.asarray(operands[i]) for i in live}, results


def differs(a, b, steps):
    if a.shape != b.shape or a.dtype != b.dtype:
        return f'{a.dtype}{a.shape} and {b.dtype}{b.shape}'
    apart = np.abs(a.astype(np.float64) - b.astype(np.float64))
    # the 8-bit tables of ONNX Runtime round on their own: one step
    if a.dtype.kind != 'f':
        return f'apart by {apart.max()}' if apart.max() > steps else None
    return f'apart by {apart.max()}' if (apart > 1e-5 + 1e-3 * np.abs(a)).any() else None


def all_differ(wants, gots, steps):
    for k, (want, got) in enumerate(zip(wants, gots)):
        why = differs(want, got, steps)
        if why:
            return f'result {k}: {why}'
    return None


def one(name):
    op, operands, attributes, elem, *steps = CASES[name]
    steps = steps[0] if steps else 0
    path, feed, results = build(name, op, operands, attributes, elem)
    want = onnxruntime.InferenceSession(path).run(None, feed)
    if 'uneven' in name:
        want = want[:1]  # what a cache holds behind a sample's end is nobody's
    for engine in 'ref', 'fast':
        out = f'{OUT}/{name}_{engine}'
        status, _, said = slipway('run', path, '--inputs', f'{OUT}/{name}_in', '--out', out, '--engine', engine, '--native-outputs')
        if status:
            return f'run in {engine} ended with {status}: {said[:300]}'
        why = all_differ(want, [np.load(f'{out}/Result_0/{y}.npy') for y in results], steps)
        if why:
            return f'{engine}: {why}'
    status, _, said = slipway('convert', path, '-o', f'{OUT}/{name}_b.onnx')
    if status:
        return f'convert ended with {status}: {said[:300]}'
    copy = onnx.load(f'{OUT}/{name}_b.onnx')
    if any(n.domain for n in copy.graph.node):
        return 'the copy still has operators of com.microsoft'
    onnx.checker.check_model(copy, full_check=True)
    try:
        again = onnxruntime.InferenceSession(f'{OUT}/{name}_b.onnx')
    except Exception as error:
        if 'NOT_IMPLEMENTED' not in str(error):
            raise
        again = None  # a kernel ONNX Runtime has not: the standard's own evaluator then
    got = again.run(None, feed) if again else ReferenceEvaluator(copy).run(None, feed)
    return all_differ(want, got, steps)


# Real models as ONNX Runtime writes them once it has optimised them: these carry such operators.
OPTIMISED = ['bert_toy', 'fastestdet', 'mnist-8', 'mobilenet_v2_qdq_perchannel', 'mobilenet_v3_small_random', 'shufflenet_v2_x0_5_random',
             'super_resolution_10', 'ultraface_RFB-320', 'yolox_nano']


def optimised(name):
    source, path, folder = f'{SHARED}/models/onnx/{name}.onnx', f'{OUT}/{name}_o.onnx', f'{OUT}/{name}_in/test_data_set_0'
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = path
    run = onnxruntime.InferenceSession(source, options)
    foreign = sorted({n.op_type for n in onnx.load(path).graph.node if n.domain})
    os.makedirs(folder)
    feed = {}
    for k, x in enumerate(run.get_inputs()):
        shape = [d if isinstance(d, int) else 1 if i == 0 else 8 for i, d in enumerate(x.shape)]
        feed[x.name] = f32(*shape) if 'float' in x.type else np.ones(shape, np.int64 if '64' in x.type else np.int32)
        with open(f'{folder}/input_{k}.pb', 'wb') as f:
            f.write(numpy_helper.from_array(feed[x.name]).SerializeToString())
    want = run.run(None, feed)
    status, _, said = slipway('run', path, '--inputs', f'{OUT}/{name}_in', '--out', f'{OUT}/{name}_out', '--engine', 'fast')
    if status:
        return f'{foreign}: run ended with {status}: {said[:300]}'
    status, _, said = slipway('convert', path, '-o', f'{OUT}/{name}_b.onnx')
    if status:
        return f'{foreign}: convert ended with {status}: {said[:300]}'
    copy = onnx.load(f'{OUT}/{name}_b.onnx')
    onnx.checker.check_model(copy, full_check=True)
    if any(n.domain for n in copy.graph.node):
        return 'the copy still has operators of com.microsoft'
    got = onnxruntime.InferenceSession(f'{OUT}/{name}_b.onnx').run(None, feed)
    for y, a, b in zip(run.get_outputs(), want, got):
        safe = ''.join(ch if ch.isalnum() or ch in '._-' else '_' for ch in y.name)
        ours = np.load(f'{OUT}/{name}_out/Result_0/{safe}.npy')
        # ONNX Runtime's own optimisation moves the quantised model by three steps of its output
        span = (3e-2 if 'qdq' in name else 1e-3) * max(1.0, float(np.ptp(a)))
        if np.abs(a - b).max() > span or np.abs(a - ours).max() > span:
            return f'{foreign}: {y.name}: the copy is apart by {np.abs(a - b).max()}, our run by {np.abs(a - ours).max()}'
    print(f'# {name}: {", ".join(foreign) or "no operator of com.microsoft"}')
    return None


only = os.environ.get('ONLY')
cases = [(f'contrib-{name}', lambda name=name: one(name)) for name in CASES if not only or name == only]
cases += [(f'contrib-optimised-{name}', lambda name=name: optimised(name)) for name in OPTIMISED if not only or name == only]
judge.each(cases)
