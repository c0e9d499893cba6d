"""Schemes without calibration, before software we did not write.

int8-dynamic as ONNX (int8 and uint8 weights): the checker takes it, ONNX Runtime loads and runs it, and
`slipway verify` sees the same distance from the original as ONNX Runtime does. int8-dynamic and fp16 as TFLite:
LiteRT loads and runs them, near the float original.
"""
import json
import os

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, SHARED, slipway

MODELS = f'{SHARED}/models'
onnxruntime.set_default_logger_severity(4)
# file, input shape, its scale; least SQNR in dB, 3 below what was measured: ONNX int8-dynamic with int8 (a scale
# per channel) and uint8 weights (per tensor), TFLite int8-dynamic, TFLite fp16
NETS = [
    ('onnx/mnist-8.onnx', (1, 1, 28, 28), 1, 31, 28, 28, 61),
    ('onnx/rl_go1_policy.onnx', (1, 48), 1, 28, 20, 20, 60),
    ('onnx/ultraface_RFB-320.onnx', (1, 3, 240, 320), 0.5, 48, 43, 48, 71),
]


def sqnr(reference, got):
    a, b = (np.concatenate([x.ravel() for x in xs]).astype(np.float64) for xs in (reference, got))
    return 10 * np.log10((a ** 2).sum() / max(((a - b) ** 2).sum(), 1e-300))


def run_onnx(path, samples):
    net = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    return [net.run(None, {net.get_inputs()[0].name: x}) for x in samples]


def run_tflite(path, samples):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    net = Interpreter(model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    net.allocate_tensors()
    answers = []
    for x in samples:
        net.set_tensor(net.get_input_details()[0]['index'], x)
        net.invoke()
        answers.append([net.get_tensor(o['index']) for o in net.get_output_details()])
    return answers


def distances(reference, got):
    return [sqnr([r[i] for r in reference], [g[i] for g in got]) for i in range(len(reference[0]))]


def data_of(file, shape, scale):
    """A folder of samples and the original's answers to them."""
    folder = f'{OUT}/{os.path.basename(file)}.data'
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(3)
    samples = [(rng.standard_normal(shape) * scale).astype(np.float32) for _ in range(4)]
    for i, x in enumerate(samples):
        np.save(f'{folder}/{i}.npy', x)
    return folder, samples, run_onnx(f'{MODELS}/{file}', samples)


def as_onnx(file, shape, scale, least, weight_type):
    folder, samples, reference = data_of(file, shape, scale)
    artifact = f'{OUT}/{os.path.basename(file)}.{weight_type}.onnx'
    status, _, said = slipway('convert', f'{MODELS}/{file}', '-o', artifact, '--quantize', 'int8-dynamic', '--weight-type', weight_type)
    if status:
        return f'convert ended with {status}: {said[:300]}'
    onnx.checker.check_model(artifact, full_check=True)
    if not any(n.op_type in ('MatMulInteger', 'ConvInteger') for n in onnx.load(artifact).graph.node):
        return 'nothing was quantised'
    theirs = distances(reference, run_onnx(artifact, samples))
    print(f'# {os.path.basename(file)} {weight_type}: {[round(float(d), 1) for d in theirs]} dB', flush=True)
    if min(theirs) < least:
        return f'SQNR {theirs} dB, expected {least}'
    status, said, talk = slipway('verify', f'{MODELS}/{file}', artifact, '--inputs', folder, '--json')
    if status:
        return f'verify ended with {status}: {talk[:300]}'
    ours = [o['sqnr_db'] for o in json.loads(said)['candidates'][0]['outputs']]
    return None if all(abs(a - b) < 1 for a, b in zip(ours, theirs)) else f'verify says {ours}, ONNX Runtime {theirs}'


def as_tflite(file, shape, scale, least, scheme):
    _, samples, reference = data_of(file, shape, scale)
    artifact = f'{OUT}/{os.path.basename(file)}.{scheme}.tflite'
    status, _, said = slipway('convert', f'{MODELS}/{file}', '-o', artifact, '--quantize', scheme)
    if status:
        return f'convert ended with {status}: {said[:300]}'
    plain = artifact + '.float.tflite'
    status, _, said = slipway('convert', f'{MODELS}/{file}', '-o', plain)
    if status:
        return f'convert ended with {status}: {said[:300]}'
    if os.path.getsize(artifact) > {'fp16': 0.75, 'int8-dynamic': 0.6}[scheme] * os.path.getsize(plain):
        return f'{os.path.getsize(artifact)} bytes, float {os.path.getsize(plain)}'
    theirs = distances(run_tflite(plain, samples), run_tflite(artifact, samples))
    print(f'# {os.path.basename(file)} {scheme}: {[round(float(d), 1) for d in theirs]} dB', flush=True)
    return None if min(theirs) >= least else f'SQNR {theirs} dB, expected {least}'


cases = []
for file, shape, scale, signed, unsigned, hybrid, half in NETS:
    name = os.path.basename(file)
    for kind, least in (('int8', signed), ('uint8', unsigned)):
        cases.append((f'{name} int8-dynamic ONNX, {kind} weights',
                      lambda f=file, s=shape, c=scale, l=least, k=kind: as_onnx(f, s, c, l, k)))
    cases.append((f'{name} int8-dynamic TFLite', lambda f=file, s=shape, c=scale, l=hybrid: as_tflite(f, s, c, l, 'int8-dynamic')))
    cases.append((f'{name} fp16 TFLite', lambda f=file, s=shape, c=scale, l=half: as_tflite(f, s, c, l, 'fp16')))
judge.each(cases)
