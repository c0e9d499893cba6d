"""Every integer kernel alone, against LiteRT's reference kernels, element for element.

Small ONNX models are quantised by `slipway convert --quantize int8 --io-dtype quant`; LiteRT (BUILTIN_REF) and
`slipway run --engine int=litert` run the very same .tflite on stored integers of the whole 8-bit range. Nothing
may differ.
"""
import os

import judge
import numpy as np
from judge import OUT, slipway
from onnx import TensorProto, helper, numpy_helper, save

# Alone these stay in float, since they only move data: a Relu before each input makes them integer.
MOVES = {'average_pool', 'max_pool', 'concat', 'pad', 'resize', 'reduce_max', 'max', 'min'}
# LiteRT's reference SUM answers garbage on int8 (a real 35 becomes -1), and its reference resolver lacks the
# int8 DEPTH_TO_SPACE: its other kernels judge these.
NOT_REFERENCE = {'reduce_sum': 'BUILTIN_WITHOUT_DEFAULT_DELEGATES', 'depth_to_space': 'BUILTIN_WITHOUT_DEFAULT_DELEGATES'}
rng = np.random.default_rng(11)
FLOAT = TensorProto.FLOAT


def model(path, inputs, nodes, constants, opset=17):
    """One-output ONNX model; shapes of results are left to inference."""
    graph = helper.make_graph(
        nodes, 'g', [helper.make_tensor_value_info(n, FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info('y', FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], ir_version=8), path)


def litert(path, xs, kernels):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    net = Interpreter(model_path=path, experimental_op_resolver_type=getattr(OpResolverType, kernels))
    net.allocate_tensors()
    details = net.get_input_details()
    for d, x in zip(details, xs(details)):
        net.set_tensor(d['index'], x)
    net.invoke()
    return [net.get_tensor(d['index']) for d in details], net.get_tensor(net.get_output_details()[0]['index'])


def whole_range(details):
    return [rng.integers(np.iinfo(d['dtype']).min, np.iinfo(d['dtype']).max + 1, d['shape'], d['dtype'])
            if np.dtype(d['dtype']).kind in 'iu' else rng.standard_normal(d['shape']).astype(d['dtype'])
            for d in details]


def to_uint8(path):
    """The same network on uint8: types, zero points and stored data of int8 tensors moved by 128."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    m = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(open(path, 'rb').read(), 0))
    moved = set()
    for t in m.subgraphs[0].tensors:
        if t.type != schema.TensorType.INT8:
            continue
        t.type = schema.TensorType.UINT8
        t.quantization.zeroPoint = [int(z) + 128 for z in t.quantization.zeroPoint]
        data = m.buffers[t.buffer].data
        if data is not None and t.buffer not in moved:
            moved.add(t.buffer)
            m.buffers[t.buffer].data = (np.asarray(data, np.uint8) + np.uint8(128)).astype(np.uint8)
    b = flatbuffers.Builder(1 << 16)
    b.Finish(m.Pack(b), file_identifier=b'TFL3')
    open(path, 'wb').write(b.Output())


def has_float_part(path):
    from ai_edge_litert import schema_py_generated as schema
    m = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(open(path, 'rb').read(), 0))
    return any(t.type == schema.TensorType.FLOAT32 for t in m.subgraphs[0].tensors)


def compare(name, path):
    """None, or how the two differ."""
    xs, want = litert(path, whole_range, NOT_REFERENCE.get(name.split()[0], 'BUILTIN_REF'))
    if has_float_part(path):
        return 'the artifact computes in float: this case shows nothing'
    files = []
    for i, x in enumerate(xs):
        file = f'{path}.{i}.npy'
        np.save(file, x)
        files += ['--input', f'{i}={file}']
    status, _, said = slipway('run', path, *files, '--out', path + '.out', '--engine', 'int=litert', '--native-outputs')
    if status:
        return f'run ended with {status}: {said[:300]}'
    folder = path + '.out/Result_0'
    got = np.load(os.path.join(folder, os.listdir(folder)[0]))
    if got.dtype != want.dtype or got.shape != want.shape:
        return f'{got.dtype}{got.shape}, expected {want.dtype}{want.shape}'
    steps = np.abs(got.astype(np.int64) - want.astype(np.int64))
    print(f'# {name}: {(steps > 0).sum()} of {want.size} differ, by {steps.max(initial=0)} at most', flush=True)
    if steps.any():
        return f'{(steps > 0).sum()} of {want.size} elements differ, by {steps.max()} at most'
    return None


def case(name, inputs, nodes, constants, options=(), unsigned=False, opset=17):
    if name.split()[0] in MOVES and 'conv' not in name:
        nodes = [node('Relu', n, n + '_r') for n, _ in inputs] + [
            helper.make_node(n.op_type, [i + '_r' if i in dict(inputs) else i for i in n.input], n.output, **{
                a.name: helper.get_attribute_value(a) for a in n.attribute}) for n in nodes]
    base = os.path.join(OUT, ''.join(c if c.isalnum() else '_' for c in name))
    model(base + '.onnx', inputs, nodes, constants, opset)
    data = base + '_calib'
    os.makedirs(data, exist_ok=True)
    for k in range(3):
        arrays = {n: (rng.standard_normal(s) * (1 + 0.7 * i) + 0.3 * i).astype(np.float32) for i, (n, s) in enumerate(inputs)}
        np.savez(f'{data}/{k}.npz', **arrays) if len(inputs) > 1 else np.save(f'{data}/{k}.npy', arrays[inputs[0][0]])
    status, _, said = slipway('convert', base + '.onnx', '-o', base + '.tflite', '--quantize', 'int8', '--io-dtype', 'quant',
                              '--calib', data, *options)
    if status:
        return f'convert ended with {status}: {said[:400]}'
    if unsigned:
        to_uint8(base + '.tflite')
    return compare(name, base + '.tflite')


def normal(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def node(op, inputs='x', output='y', **attributes):
    return helper.make_node(op, inputs.split(' '), [output], **attributes)


def conv(name, x, w, act=None, bias=True, **attributes):
    """A convolution; act: None, 'Relu' or (lo, hi)."""
    constants = {'w': normal(*w, scale=0.3)}
    if bias:
        constants['b'] = normal(w[0] if attributes.pop('op', 'Conv') == 'Conv' else w[1] * attributes.get('group', 1))
    nodes = [node('Conv', 'x w b' if bias else 'x w', 'y' if act is None else 'c', **attributes)]
    if act == 'Relu':
        nodes.append(node('Relu', 'c'))
    elif act:
        constants |= {'lo': np.float32(act[0]), 'hi': np.float32(act[1])}
        nodes.append(node('Clip', 'c lo hi'))
    return name, [('x', x)], nodes, constants


X = [1, 8, 11, 9]
PLAIN = [2, 5, 7]
F64 = np.int64
CASES = [
    conv('conv 3x3 valid', X, (12, 8, 3, 3)),
    conv('conv 3x3 same stride 2', X, (12, 8, 3, 3), strides=[2, 2], auto_pad='SAME_UPPER'),
    conv('conv 3x3 pads', X, (5, 8, 3, 3), pads=[1, 1, 1, 1]),
    conv('conv uneven pads', X, (5, 8, 3, 2), pads=[0, 1, 2, 0], strides=[2, 1]),
    conv('conv dilated', X, (6, 8, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
    conv('conv 1x1 no bias', X, (16, 8, 1, 1), bias=False),
    conv('conv relu', X, (12, 8, 3, 3), 'Relu'),
    conv('conv relu6', X, (12, 8, 3, 3), (0, 6)),
    conv('conv relu_n1_1', X, (12, 8, 3, 3), (-1, 1)),
    conv('conv grouped', X, (8, 4, 3, 3), group=2),
    conv('conv depthwise', X, (8, 1, 3, 3), group=8, pads=[1, 1, 1, 1]),
    conv('conv depthwise multiplier', X, (16, 1, 3, 3), 'Relu', group=8, strides=[2, 2]),
    conv('conv depthwise dilated', X, (8, 1, 3, 3), group=8, dilations=[2, 2], pads=[2, 2, 2, 2]),
    conv('conv 1d', [2, 6, 20], (4, 6, 3)),
    ('conv_transpose stride 2', [('x', [1, 4, 5, 6])], [node('ConvTranspose', 'x w b', strides=[2, 2])],
     {'w': normal(4, 6, 2, 2, scale=0.3), 'b': normal(6)}),
    ('conv_transpose same', [('x', [1, 4, 5, 6])],
     [node('ConvTranspose', 'x w', strides=[2, 2], auto_pad='SAME_UPPER')], {'w': normal(4, 3, 3, 3, scale=0.3)}),
    ('fully_connected gemm', [('x', [3, 20])], [node('Gemm', 'x w b', transB=1)], {'w': normal(7, 20), 'b': normal(7)}),
    ('fully_connected relu', [('x', [3, 20])], [node('MatMul', 'x w', 'm'), node('Relu', 'm')], {'w': normal(20, 9)}),
    ('fully_connected 3d', [('x', [2, 3, 20])], [node('MatMul', 'x w')], {'w': normal(20, 9)}),
    ('batch_mat_mul', [('x', [2, 4, 6]), ('z', [2, 6, 5])], [node('MatMul', 'x z')], {}),
]
for op in ('Add', 'Sub', 'Mul'):
    CASES += [
        (f'{op.lower()} same shape', [('x', X), ('z', X)], [node(op, 'x z')], {}),
        (f'{op.lower()} broadcast', [('x', [2, 5, 7]), ('z', [5, 1])], [node(op, 'x z')], {}),
        (f'{op.lower()} constant', [('x', PLAIN)], [node(op, 'x k')], {'k': normal(7)}),
        (f'{op.lower()} relu', [('x', PLAIN), ('z', PLAIN)], [node(op, 'x z', 's'), node('Relu', 's')], {}),
    ]
CASES += [
    ('average_pool 2x2', [('x', X)], [node('AveragePool', kernel_shape=[2, 2], strides=[2, 2])], {}),
    ('average_pool same', [('x', X)], [node('AveragePool', kernel_shape=[3, 3], strides=[2, 2], auto_pad='SAME_UPPER')], {}),
    ('average_pool global', [('x', X)], [node('GlobalAveragePool')], {}),
    ('max_pool 3x3', [('x', X)], [node('MaxPool', kernel_shape=[3, 3], strides=[2, 2], auto_pad='SAME_UPPER')], {}),
    ('max_pool pads', [('x', X)], [node('MaxPool', kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])], {}),
    ('softmax', [('x', [20, 30])], [node('Softmax', axis=-1)], {}),
    ('softmax 4d', [('x', [2, 3, 4, 10])], [node('Softmax', axis=-1)], {}),
    ('log_softmax', [('x', [20, 30])], [node('LogSoftmax', axis=-1)], {}),
    ('sigmoid', [('x', [40, 30])], [node('Sigmoid')], {}),
    ('tanh', [('x', [40, 30])], [node('Tanh')], {}),
    ('reduce_mean spatial', [('x', X)], [node('ReduceMean', axes=[2, 3], keepdims=0)], {}),
    ('reduce_mean last', [('x', [6, 5, 7])], [node('ReduceMean', axes=[2], keepdims=1)], {}),
    ('reduce_mean middle', [('x', [6, 5, 7])], [node('ReduceMean', axes=[1], keepdims=1)], {}),
    ('reduce_sum', [('x', [6, 5, 7])], [node('ReduceSum', 'x a', keepdims=0)], {'a': F64([1])}),
    ('reduce_max', [('x', [6, 5, 7])], [node('ReduceMax', axes=[1], keepdims=0)], {}),
    ('concat two ranges', [('x', PLAIN), ('z', PLAIN)], [node('Concat', 'x z', axis=2)], {}),
    ('concat after conv', [('x', X)], [node('Conv', 'x w', 'a'), node('Conv', 'x v', 'b'), node('Concat', 'a b', axis=1)],
     {'w': normal(4, 8, 3, 3), 'v': normal(6, 8, 3, 3, scale=0.1)}),
    ('pad', [('x', X)], [node('Pad', 'x p')], {'p': F64([0, 0, 1, 2, 0, 0, 2, 1])}),
    ('pad value', [('x', PLAIN)], [node('Pad', 'x p v')], {'p': F64([0, 1, 1, 0, 0, 2]), 'v': np.float32(0.5)}),
    ('pad reflect', [('x', PLAIN)], [node('Pad', 'x p', mode='reflect')], {'p': F64([0, 1, 1, 0, 0, 2])}),
    ('resize bilinear half pixel', [('x', X)],
     [node('Resize', 'x  s', mode='linear', coordinate_transformation_mode='half_pixel')], {'s': np.float32([1, 1, 2, 2])}),
    ('resize bilinear aligned', [('x', X)],
     [node('Resize', 'x   z', mode='linear', coordinate_transformation_mode='align_corners')], {'z': F64([1, 8, 23, 17])}),
    ('resize bilinear odd', [('x', X)],
     [node('Resize', 'x   z', mode='linear', coordinate_transformation_mode='half_pixel')], {'z': F64([1, 8, 17, 7])}),
    ('resize bilinear asymmetric', [('x', X)],
     [node('Resize', 'x  s', mode='linear', coordinate_transformation_mode='asymmetric')], {'s': np.float32([1, 1, 3, 2])}),
    ('resize nearest', [('x', X)],
     [node('Resize', 'x  s', mode='nearest', coordinate_transformation_mode='asymmetric', nearest_mode='floor')],
     {'s': np.float32([1, 1, 2, 3])}),
    ('leaky_relu', [('x', [40, 30])], [node('LeakyRelu', alpha=0.1)], {}),
    ('leaky_relu large', [('x', [40, 30])], [node('LeakyRelu', alpha=1.7)], {}),
    ('prelu', [('x', X)], [node('PRelu', 'x a')], {'a': np.abs(normal(8, 1, 1))}),
    ('prelu signed', [('x', X)], [node('PRelu', 'x a')], {'a': normal(8, 1, 1)}),
    ('relu', [('x', [40, 30])], [node('Relu')], {}),
    ('relu6', [('x', [40, 30])], [node('Clip', 'x lo hi')], {'lo': np.float32(0), 'hi': np.float32(6)}),
    ('hard_swish', [('x', [40, 30])], [node('HardSwish')], {}),
    ('gelu', [('x', [40, 30])], [node('Gelu', approximate='none')], {}),
    ('exp', [('x', [40, 30])], [node('Exp')], {}),
    ('abs', [('x', [40, 30])], [node('Abs')], {}),
    ('max', [('x', PLAIN), ('z', PLAIN)], [node('Max', 'x z')], {}),
    ('min', [('x', PLAIN), ('z', PLAIN)], [node('Min', 'x z')], {}),
    ('sub then mul', [('x', PLAIN), ('z', PLAIN)], [node('Sub', 'x z', 'd'), node('Mul', 'd d')], {}),
    ('transpose', [('x', PLAIN)], [node('Sigmoid', 'x', 's'), node('Transpose', 's', perm=[2, 0, 1])], {}),
    ('depth_to_space', [('x', X)], [node('Relu', 'x', 'r'), node('DepthToSpace', 'r', blocksize=2)], {}),
    ('slice', [('x', PLAIN)], [node('Relu', 'x', 'r'), node('Slice', 'r b e a')], {'b': F64([1, 0]), 'e': F64([4, 6]), 'a': F64([1, 2])}),
]
OPSET = {'hard_swish': 17, 'gelu': 20}
# uint8: the older networks' kernels. Weights have one scale there.
UNSIGNED = ('conv 3x3 valid', 'conv relu6', 'conv depthwise', 'fully_connected gemm', 'add same shape', 'sub broadcast', 'mul constant',
            'average_pool 2x2', 'average_pool same', 'max_pool 3x3', 'softmax', 'sigmoid', 'tanh', 'reduce_mean spatial',
            'concat two ranges', 'leaky_relu', 'prelu', 'pad')


def cases():
    for name, inputs, nodes, constants in CASES:
        yield name, lambda n=name, i=inputs, d=nodes, c=constants: case(n, i, d, c, opset=OPSET.get(n.split()[0], 17))
    for name, inputs, nodes, constants in CASES:
        if name in UNSIGNED:
            yield name + ' uint8', lambda n=name, i=inputs, d=nodes, c=constants: case(
                n + ' uint8', i, d, c, ('--per-channel', 'no') if 'conv' in n else (), True)


judge.each(cases())
