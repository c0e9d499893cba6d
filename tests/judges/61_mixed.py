#!/usr/bin/env python3
"""Mixed precision before software we did not write: what it says it costs is what lies in the file, and
what it says it loses is what the runtimes lose, on the samples that it measured on.

ultraface to ONNX with nodes at 16 bits and in float, or with weights of 16 bits: bytes of weights and Q/DQ
pairs, counted in the file and in one of 8 bits throughout; ONNX Runtime confirms the measured dB within 0.3, the predicted within 2. The same to
TFLite: QUANTIZE and DEQUANTIZE operators, bytes of constants and of activations. resnet8 with 4-bit
weights and at most 4 % of the labelled answers lost: LiteRT loses as many, within 2 points.
"""
import glob
import json
import os
import subprocess
import sys

import numpy as np
import judge
from judge import OUT, SHARED, check, slipway

MODELS = os.path.join(SHARED, 'models')
PY = os.environ['PY']
LOOKED_AT, STEPS = 4, 12  # samples for the sensitivities; then as many to measure on


def settings(name, **lines):
    path = f'{OUT}/{name}.yaml'
    with open(path, 'w') as f:
        f.write('mixed-precision:\n' + ''.join(f'  {k.replace("_", "-")}: {v}\n' for k, v in lines.items()))
    return path


def quantise(name, model, out, *words):
    status, said, talk = slipway('quantize', model, '-o', out, '--json', *words)
    return json.loads(said) if check(f'{name}: quantised', status == 0, talk) else None


def samples(folder, first, count):
    return [np.load(f) for f in sorted(glob.glob(f'{OUT}/{folder}/*.npy'))[first:first + count]]


def bytes_of_onnx(path):
    """Bytes of float and stored constants without scales and zero points, and Q/DQ pairs."""
    import onnx
    from onnx import helper
    g = onnx.load(path).graph
    quantisers = [n for n in g.node if n.op_type in ('QuantizeLinear', 'DequantizeLinear')]
    numbers = {i for n in quantisers for i in n.input[1:]}
    weights = sum(int(np.prod(i.dims)) * helper.tensor_dtype_to_np_dtype(i.data_type).itemsize for i in g.initializer
                  if i.name not in numbers and i.data_type != onnx.TensorProto.INT64)
    return {'weight_bytes': weights, 'qdq_pairs': sum(n.op_type == 'QuantizeLinear' for n in quantisers)}


def bytes_of_tflite(path):
    from ai_edge_litert import schema_py_generated as schema
    with open(path, 'rb') as f:
        m = schema.ModelT.InitFromObj(schema.Model.GetRootAs(f.read(), 0))
    g = m.subgraphs[0]
    codes = [max(c.builtinCode, c.deprecatedBuiltinCode) for c in m.operatorCodes]
    size = {schema.TensorType.FLOAT32: 4, schema.TensorType.INT8: 1, schema.TensorType.UINT8: 1, schema.TensorType.INT16: 2,
            schema.TensorType.INT32: 4, schema.TensorType.INT64: 8}
    made = [t for o in g.operators for t in o.outputs]
    data = [m.buffers[g.tensors[t].buffer].data for t in {t for o in g.operators for t in o.inputs if t >= 0}]
    return {'weight_bytes': sum(len(d) for d in data if d is not None),
            'activation_bytes': sum(int(np.prod(g.tensors[t].shape)) * size[g.tensors[t].type] for t in made),
            'conversions': sum(codes[o.opcodeIndex] in (schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.DEQUANTIZE)
                               for o in g.operators)}


def price(name, count, model, calib, suffix, kinds, *words):
    """The file beside one of 8 bits throughout: each difference is the one that was stated."""
    plain, out = f'{OUT}/plain.{suffix}', f'{OUT}/mixed.{suffix}'
    common = ('--scheme', 'int8', '--calib', calib, '--calib-steps', STEPS)
    if not quantise(f'{name} at 8 bits', model, plain, *common):
        return None
    said = quantise(name, model, out, *common, *words)
    if not said:
        return None
    m = said['mixed_precision']
    was, now = count(plain), count(out)
    stated = {k: m['after'][k] - m['before'][k] for k in was}
    check(f'{name}: costs in the file what was stated', stated == {k: now[k] - was[k] for k in was}, f'{stated} {was} {now}')
    check(f'{name}: nodes of both kinds', all(m[k] > 0 for k in kinds) and
          len(m['nodes']) == m['nodes_16_bits'] + m['nodes_float'], m)
    return m


def noise_onnx(reference, path, xs):
    """The mean over the outputs of squared error by squared answer, in dB."""
    import onnxruntime
    o = onnxruntime.SessionOptions()
    o.log_severity_level = 3
    o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    both = []
    for p in (reference, path):
        s = onnxruntime.InferenceSession(p, o, providers=['CPUExecutionProvider'])
        answers = [s.run(None, {s.get_inputs()[0].name: x}) for x in xs]
        both.append([np.concatenate([a[j].ravel() for a in answers]).astype(np.float64) for j in range(len(answers[0]))])
    return -10 * np.log10(np.mean([((r - c) ** 2).sum() / (r ** 2).sum() for r, c in zip(*both)]))


def detector():
    model, calib = f'{OUT}/ultraface/model.onnx', f'{OUT}/ultraface/calib'
    xs = samples('ultraface/calib', LOOKED_AT, LOOKED_AT)
    for allow, kinds in (('both', ('nodes_16_bits', 'nodes_float')), ('w16', ('nodes_16_bits', 'nodes_16_bit_weights'))):
        words = ('--settings', settings(allow, allow=allow, target=45, samples=LOOKED_AT))
        m = price(f'ultraface to ONNX, {allow}', bytes_of_onnx, model, calib, 'onnx', kinds, *words)
        if not m:
            continue
        db = noise_onnx(model, f'{OUT}/mixed.onnx', xs)
        check(f'{allow}: ONNX Runtime measures what was measured, within 0.3 dB', abs(db - m['measured_db']) < 0.3, f'{db} {m}')
        check(f'{allow}: ONNX Runtime measures what was predicted, within 2 dB', abs(db - m['predicted_db']) < 2, f'{db} {m}')
        check(f'{allow}: the target of 45 dB is met', db > 44.7, db)
    kinds = ('nodes_16_bits', 'nodes_float')
    words = ('--settings', settings('both', allow='both', target=45, samples=LOOKED_AT))
    price('ultraface to TFLite', bytes_of_tflite, model, calib, 'tflite', kinds, *words)


def top1(path, xs):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    net = Interpreter(model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    net.allocate_tensors()
    i, o = net.get_input_details()[0], net.get_output_details()[0]
    best = []
    for x in xs:
        net.set_tensor(i['index'], x)
        net.invoke()
        best.append(net.get_tensor(o['index']).argmax())
    return np.array(best)


def classifier():
    model, calib, count = f'{OUT}/resnet8/model.tflite', f'{OUT}/resnet8/eval', 200
    names = sorted(os.path.basename(f) for f in glob.glob(f'{calib}/*.npy'))
    right = np.load(f'{OUT}/resnet8/labels.npy')
    with open(f'{OUT}/labels.csv', 'w') as f:
        f.writelines(f'{n},{k}\n' for n, k in zip(names, right))
    m = {}
    for limit in ('100%', '4%'):
        said = quantise(f'resnet8, at most {limit} lost', model, f'{OUT}/r8.tflite', '--scheme', 'w4a8', '--calib', calib, '--calib-steps',
                        count, '--settings', settings('float', allow='float', samples=LOOKED_AT), '--max-drop', limit, '--labels',
                        f'{OUT}/labels.csv')
        if not said:
            return
        m[limit] = said['mixed_precision']
    few, held = m['4%'], slice(LOOKED_AT, count)
    check('resnet8: 4-bit weights lose more than 4 points, some nodes in float do not',
          m['100%']['nodes_float'] == 0 and m['100%']['top1_points_lost'] > 4 >= few['top1_points_lost'] and few['nodes_float'] > 0, m)
    xs = samples('resnet8/eval', 0, count)[held]
    want, got = top1(model, xs), top1(f'{OUT}/r8.tflite', xs)
    lost = 100 * (np.mean(want == right[held]) - np.mean(got == right[held]))
    check('resnet8: LiteRT loses as many, within 2 points', abs(lost - few['top1_points_lost']) <= 2, f'{lost} {few}')


subprocess.run([PY, os.path.join(SHARED, 'judges/quant_data.py'), MODELS, OUT, 'ultraface', 'resnet8'], check=True,
               stdout=subprocess.DEVNULL)
detector()
classifier()
sys.exit(judge.failed > 0)
