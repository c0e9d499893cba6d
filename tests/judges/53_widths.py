#!/usr/bin/env python3
"""Static schemes of every width, single nodes of another width, and encodings files, before software we did not write.

ONNX: the checker takes each file, ONNX Runtime runs it as it is defined (without optimisations); TFLite: LiteRT's
kernels run it. Both stay near the float original, and `slipway verify` sees the same distance as they do, within
0.3 dB (1 dB beyond 60 dB, where float32 itself is in sight). Encodings files are checked by the rules of AIMET's
specification against the original model, and a model quantised by them on other data must come out byte-equal.
"""
import glob
import json
import os
import shutil

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, SHARED, slipway

MODELS = f'{SHARED}/models'
onnxruntime.set_default_logger_severity(4)
SHAPES = {'mnist-8': (1, 1, 28, 28), 'ultraface_RFB-320': (1, 3, 240, 320)}
SCALE = {'mnist-8': 1, 'ultraface_RFB-320': 0.5}


def sqnr(reference, got):
    a, b = (np.concatenate([x.ravel() for x in xs]).astype(np.float64) for xs in (reference, got))
    return 10 * np.log10((a ** 2).sum() / max(((a - b) ** 2).sum(), 1e-300))


def run_onnx(path, samples):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    net = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return [net.run(None, {net.get_inputs()[0].name: x}) for x in samples]


def run_tflite(path, samples):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    for kernels in (OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES):
        try:
            net = Interpreter(model_path=path, experimental_op_resolver_type=kernels)
            net.allocate_tensors()
            break
        except (RuntimeError, ValueError):  # the reference kernels lag behind: depthwise int4
            if kernels != OpResolverType.BUILTIN_REF:
                raise
    answers = []
    for x in samples:
        i = net.get_input_details()[0]
        net.set_tensor(i['index'], x if tuple(i['shape']) == x.shape else np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
        net.invoke()
        answers.append([net.get_tensor(o['index']) for o in net.get_output_details()])
    return answers


class Net:
    known = {}

    def __init__(self, name):
        self.path, self.data = f'{MODELS}/onnx/{name}.onnx', f'{OUT}/{name}.data'
        os.makedirs(self.data)
        rng = np.random.default_rng(3)
        self.samples = [(rng.standard_normal(SHAPES[name]) * SCALE[name]).astype(np.float32) for _ in range(3)]
        for i, x in enumerate(self.samples):
            np.save(f'{self.data}/{i}.npy', x)
        self.answers = run_onnx(self.path, self.samples)

    @staticmethod
    def of(name):
        Net.known[name] = Net.known.get(name) or Net(name)
        return Net.known[name]


def one(name, suffix, least, words):
    net, artifact = Net.of(name), f'{OUT}/q.{suffix}'
    status, _, said = slipway('quantize', net.path, '-o', artifact, '--calib', net.data, *words)
    if status:
        return f'quantize ended with {status}: {said[:300]}'
    if suffix == 'onnx':
        onnx.checker.check_model(artifact, full_check=True)
    got = (run_onnx if suffix == 'onnx' else run_tflite)(artifact, net.samples)
    theirs = [sqnr([a[i] for a in net.answers], [g[i] for g in got]) for i in range(len(got[0]))]
    print(f'# {name} {suffix} {" ".join(words)}: {[round(float(d), 2) for d in theirs]} dB', flush=True)
    if min(theirs) < least:
        return f'SQNR {theirs} dB, expected {least}'
    status, said, talk = slipway('verify', net.path, artifact, '--inputs', net.data, '--json')
    if status:
        return f'verify ended with {status}: {talk[:300]}'
    ours = [o['sqnr_db'] for o in json.loads(said)['candidates'][0]['outputs']]
    near = all(abs(a - b) <= (0.3 if b < 60 else 1) for a, b in zip(ours, theirs))
    return None if near else f'verify says {ours} dB, the runtime {theirs}'


# model, format, least SQNR in dB of each output (3 below what was measured), words
CASES = [
    ('mnist-8', 'onnx', 28, '--scheme uint8'),
    ('mnist-8', 'onnx', 31, '--scheme w8a16'),
    ('mnist-8', 'onnx', 31, '--scheme w8a16 --opset 13'),
    ('mnist-8', 'onnx', 77, '--scheme w16a16'),
    ('mnist-8', 'onnx', 7, '--scheme w4a8'),
    ('mnist-8', 'onnx', 7, '--scheme w4a16'),
    ('mnist-8', 'onnx', 28, '--scheme ppq-dsp'),
    ('mnist-8', 'onnx', 29, '--scheme snpe'),
    ('mnist-8', 'onnx', 29, '--scheme enhanced'),
    ('mnist-8', 'onnx', 32, '--scheme int8 --dispatch conv=w8a16 --dispatch MatMul=float'),
    ('mnist-8', 'onnx', 38, '--scheme w16a16 --dispatch Convolution28=fp16 --dispatch Pool*=int8'),
    ('mnist-8', 'tflite', 28, '--scheme uint8'),
    ('mnist-8', 'tflite', 29, '--scheme w8a16'),
    ('mnist-8', 'tflite', 6, '--scheme w4a8'),
    ('mnist-8', 'tflite', 6, '--scheme w4a16'),
    ('mnist-8', 'tflite', 27, '--scheme ppq-dsp'),
    ('mnist-8', 'tflite', 28, '--scheme int8 --dispatch conv=w8a16 --dispatch MaxPool=uint8'),
    ('mnist-8', 'tflite', 30, '--scheme w8a16 --dispatch Convolution28=fp16 --dispatch MatMul=int8'),
    ('ultraface_RFB-320', 'onnx', 50, '--scheme w8a16'),
    ('ultraface_RFB-320', 'onnx', 40, '--scheme snpe'),
    ('ultraface_RFB-320', 'onnx', 43, '--scheme int8 --dispatch 3*=w8a16 --dispatch Softmax=float'),
    ('ultraface_RFB-320', 'tflite', 41, '--scheme uint8'),
    ('ultraface_RFB-320', 'tflite', 50, '--scheme w8a16'),
    ('ultraface_RFB-320', 'tflite', 28, '--scheme w4a8'),
]


def entries(file):
    """{name: [(bits, float?, symmetric, scale, offset) ...]}, checked by the specification's rules."""
    out, model = {}, json.load(open(file))
    for part in ('activation_encodings', 'param_encodings'):
        listed = model['version'] == '1.0.0'
        items = [(e['name'], e) for e in model[part]] if listed else model[part].items()
        for name, e in items:
            assert name not in out, f'{name} stands twice'
            rows = []
            if listed:
                assert e['dtype'] in ('INT', 'FLOAT') and e['enc_type'] in ('PER_TENSOR', 'PER_CHANNEL'), e
                real = e['dtype'] == 'FLOAT'
                assert set(e) == {'name', 'dtype', 'bw', 'enc_type'} | (set() if real else {'is_sym', 'scale', 'offset'}), e
                if not real:
                    assert (len(e['scale']) == 1) == (e['enc_type'] == 'PER_TENSOR') and len(e['scale']) == len(e['offset'])
                    rows = [(e['bw'], e['is_sym'], s, o) for s, o in zip(e['scale'], e['offset'])]
            else:
                for c in e:
                    if c['dtype'] == 'float':
                        assert set(c) == {'bitwidth', 'dtype'} and c['bitwidth'] in (16, 32), c
                        continue
                    assert set(c) == {'bitwidth', 'dtype', 'is_symmetric', 'max', 'min', 'offset', 'scale'}, c
                    assert c['is_symmetric'] in ('True', 'False')
                    steps = 2 ** c['bitwidth'] - 1
                    assert abs(c['min'] - c['scale'] * c['offset']) <= 1e-6 * steps * c['scale'], c
                    assert abs(c['max'] - c['min'] - c['scale'] * steps) <= 1e-6 * steps * c['scale'], c
                    rows.append((c['bitwidth'], c['is_symmetric'] == 'True', c['scale'], c['offset']))
            for bits, symmetric, scale, offset in rows:
                assert isinstance(bits, int) and 4 <= bits <= 32 and scale > 0 and isinstance(offset, int)
                assert -(2 ** bits) < offset <= 0, f'{name}: offset {offset}'
                assert not symmetric or offset == -(2 ** (bits - 1)), f'{name}: symmetric, offset {offset}'
            out[name] = rows
    return out


def encodings(name, scheme, version):
    """Every float tensor that a node of the original makes, all inputs and all weights have an entry; a second
    quantisation by this file on other data gives the same bytes."""
    net, model = Net.of(name), onnx.shape_inference.infer_shapes(onnx.load(f'{MODELS}/onnx/{name}.onnx'))
    file, first, second = f'{OUT}/e.json', f'{OUT}/first.onnx', f'{OUT}/second.onnx'
    words = ['--scheme', scheme, '--encodings-version', version]
    status, _, said = slipway('quantize', net.path, '-o', first, '--calib', net.data, '--encodings', file, *words)
    if status:
        return f'quantize ended with {status}: {said[:300]}'
    have, constants = entries(file), {i.name: i for i in model.graph.initializer}
    kinds = {v.name: v.type.tensor_type.elem_type for v in [*model.graph.value_info, *model.graph.output]}
    folded = {o for n in model.graph.node if all(i in constants for i in n.input) for o in n.output}
    wanted = [o for n in model.graph.node for o in n.output if kinds.get(o, 1) == 1 and o not in folded and n.op_type != 'Constant']
    wanted += [i.name for i in model.graph.input if i.name not in constants]
    weights = [i for n in model.graph.node if n.op_type in ('Conv', 'Gemm') for i in n.input[1:]]
    missing = [t for t in wanted + weights if t not in have]
    if missing:
        return f'{len(missing)} of {len(wanted) + len(weights)} tensors have no entry: {missing[:5]}'
    for w in weights:
        if len(have[w]) not in (1, constants[w].dims[0]):
            return f'{w} has {len(have[w])} scales, {constants[w].dims[0]} channels'
    status, _, said = slipway('quantize', net.path, '-o', second, '--calib', 'random:9:1', '--overrides', file, *words)
    if status:
        return f'quantize --overrides ended with {status}: {said[:300]}'
    if open(first, 'rb').read() != open(second, 'rb').read():
        return 'a model quantised by its own encodings differs'
    said = [slipway(*words, '--json') for words in (('diff', file, first), ('encodings', 'diff', file, first))]
    if said[0] != said[1]:
        return f'"encodings diff" is another thing than "diff": {said}'
    status, text, talk = said[0]
    both = json.loads(text)['tensors_on_both_sides'] if text else 0
    return None if status == 0 and both > 10 else f'diff: {text[:200]} {talk[:200]}'


cases = [(f'{n} {s} {w}', lambda n=n, s=s, b=b, w=w: one(n, s, b, w.split())) for n, s, b, w in CASES]
cases += [(f'{n} encodings {v} of {s}', lambda n=n, s=s, v=v: encodings(n, s, v))
          for n, s, v in (('ultraface_RFB-320', 'int8', '0.6.1'), ('ultraface_RFB-320', 'w8a16', '1.0.0'), ('mnist-8', 'snpe', '0.6.1'))]
judge.each(cases)
