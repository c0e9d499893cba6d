#!/usr/bin/env python3
"""Accuracy repair before software we did not write, on samples that nothing was calibrated on.

Equalisation keeps the function: super_resolution in 16 bits, equalised or not, stays the float network in
ONNX Runtime, and 8 bits gain. AdaRound: resnet8 with 4-bit weights keeps the float network's answer on at
least MARGIN points more of the pictures than rounding to nearest, by LiteRT. YOLOX-nano, mostly W8A8: over
14 dB in ONNX Runtime with at most 10 % of the MACs above 8 bits. The same bytes for one and two threads.
What chooses for itself is on no net more than LOSS dB below the network without repair, and finds the gain.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import judge
from judge import OUT, SHARED, check, slipway

MODELS = os.path.join(SHARED, 'models')
PY = os.environ['PY']
MARGIN = 0.25
LOSS = 0.2

YOLOX = """split:
  on: yes
mixed-precision:
  max-high-macs: 10
  samples: 2
calibration:
  task: 6
adaround:
  on: yes
  iterations: 120
  samples: 8
  rows: 1024
"""


def data(*names):
    subprocess.run([PY, os.path.join(SHARED, 'judges/quant_data.py'), MODELS, OUT, *names], check=True,
                   stdout=subprocess.DEVNULL)


def samples(net, part, count):
    return [np.load(f) for f in sorted(glob.glob(f'{OUT}/{net}/{part}/*.npy'))[:count]]


def thinned(net, count):
    """A folder with `count` calibration samples spread over all."""
    files = sorted(glob.glob(f'{OUT}/{net}/calib/*.npy'))
    out = f'{OUT}/{net}/few'
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    for k in range(count):
        f = files[k * len(files) // count]
        os.link(f, os.path.join(out, os.path.basename(f)))
    return out


def run_onnx(path, xs):
    import onnxruntime
    o = onnxruntime.SessionOptions()
    o.log_severity_level = 3
    o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = onnxruntime.InferenceSession(path, o, providers=['CPUExecutionProvider'])
    return [s.run(None, {s.get_inputs()[0].name: x})[0] for x in xs]


def run_tflite(path, xs):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    net = Interpreter(model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    net.allocate_tensors()
    i, o = net.get_input_details()[0], net.get_output_details()[0]
    answers = []
    for x in xs:
        net.set_tensor(i['index'], x)
        net.invoke()
        answers.append(net.get_tensor(o['index']))
    return answers


def sqnr(want, got):
    w, g = (np.concatenate([a.ravel() for a in x]).astype(np.float64) for x in (want, got))
    return 10 * np.log10((w ** 2).sum() / max(((w - g) ** 2).sum(), 1e-300))


def quantise(name, model, out, *words):
    status, said, talk = slipway('quantize', model, '-o', out, *words, timeout=600)
    return said if check(f'{name}: quantised', status == 0, talk) else None


def equalisation():
    model, calib = f'{OUT}/super_resolution/model.onnx', f'{OUT}/super_resolution/calib'
    xs = samples('super_resolution', 'eval', 3)
    want = run_onnx(model, xs)
    db = {}
    for scheme in ('w16a16', 'int8'):
        for extra in ([], ['--equalize']):
            out = f'{OUT}/sr.onnx'
            said = quantise(f'super_resolution {scheme} {" ".join(extra)}', model, out, '--scheme', scheme, '--calib', calib,
                            '--calib-steps', 8, *extra)
            db[scheme, bool(extra)] = sqnr(want, run_onnx(out, xs)) if said else 0
    check('equalised, the network computes the same', db['w16a16', True] > 55, db)
    check('equalised, 8 bits gain 6 dB', db['int8', True] > db['int8', False] + 6, db)
    check('equalisation says what it did', said and re.search(r'equalize: 4 of 4 layers scaled', said), said)


def adaround():
    model, calib = f'{OUT}/resnet8/model.tflite', f'{OUT}/resnet8/calib'
    xs = samples('resnet8', 'eval', 300)
    want = [a.argmax() for a in run_tflite(model, xs)]
    agree = {}
    for name, extra in (('nearest', []), ('adaround', ['--adaround'])):
        out = f'{OUT}/r8_{name}.tflite'
        if quantise(f'resnet8 w4a8 {name}', model, out, '--scheme', 'w4a8', '--calib', calib, *extra):
            agree[name] = np.mean([a.argmax() == w for a, w in zip(run_tflite(out, xs), want)])
    check(f'AdaRound keeps {MARGIN * 100:.0f} points more of the float answers in W4A8',
          agree.get('adaround', 0) >= agree.get('nearest', 1) + MARGIN, agree)
    check('AdaRound in W4A8 keeps 80 % of the float answers', agree.get('adaround', 0) >= 0.8, agree)
    same = []
    with open(f'{OUT}/short.yaml', 'w') as f:
        f.write('adaround:\n  on: yes\n  iterations: 60\n  samples: 24\nbias-correction:\n  on: yes\n'
                'calibration:\n  task: 2\nmixed-precision:\n  max-high-macs: 10\n  samples: 2\n')
    for threads in (1, 2):
        out = f'{OUT}/r8_{threads}.onnx'
        if quantise(f'resnet8 with {threads} threads', model, out, '--scheme', 'w4a8', '--calib', calib, '--calib-steps', 24,
                    '--settings', f'{OUT}/short.yaml', '--threads', threads):
            with open(out, 'rb') as f:
                same.append(f.read())
    check('the same bytes for one and two threads', len(same) == 2 and same[0] == same[1])


AUTO = """repair:
  preset: auto
adaround:
  iterations: 60
  samples: 12
  rows: 1024
"""


def automatic():
    """(net, scheme, suffix, calibration samples, evaluation samples, gain it must find in dB)"""
    with open(f'{OUT}/auto.yaml', 'w') as f:
        f.write(AUTO)
    for net, scheme, suffix, calib, count, gain in (
            ('mnist', 'int8', 'onnx', 32, 300, -LOSS), ('mnist', 'w8a16', 'onnx', 32, 300, -LOSS),
            ('super_resolution', 'int8', 'onnx', 8, 3, 10), ('ultraface', 'int8', 'onnx', 8, 8, -LOSS),
            ('resnet8', 'w4a8', 'tflite', 24, 200, 2)):
        model = glob.glob(f'{OUT}/{net}/model.*')[0]
        run = run_onnx if suffix == 'onnx' else run_tflite
        xs, db = samples(net, 'eval', count), {}
        want = run(model, xs)
        for name, extra in (('plain', []), ('auto', ['--settings', f'{OUT}/auto.yaml'])):
            out = f'{OUT}/{net}_{name}.{suffix}'
            if quantise(f'{net} {scheme} {name}', model, out, '--scheme', scheme, '--calib', thinned(net, calib), *extra):
                db[name] = sqnr(want, run(out, xs))
        check(f'{net} {scheme}: what chooses for itself gains at least {gain} dB',
              db.get('auto', -99) >= db.get('plain', 0) + gain, db)


def yolox():
    model, out = f'{OUT}/yolox_nano/model.onnx', f'{OUT}/yolox.onnx'
    with open(f'{OUT}/yolox.yaml', 'w') as f:
        f.write(YOLOX)
    said = quantise('yolox_nano', model, out, '--scheme', 'int8', '--calib', thinned('yolox_nano', 12), '--settings',
                    f'{OUT}/yolox.yaml')
    if not said:
        return
    xs = samples('yolox_nano', 'eval', 4)
    db = sqnr(run_onnx(model, xs), run_onnx(out, xs))
    share = re.search(r'([\d.]+) % of MACs', said)
    check('yolox_nano over 14 dB', db > 14, f'{db:.2f} dB')
    check('yolox_nano: at most 10 % of the MACs above 8 bits', share and float(share[1]) <= 10.0, said)


data('super_resolution', 'resnet8', 'yolox_nano', 'mnist', 'ultraface')
equalisation()
adaround()
automatic()
yolox()
sys.exit(judge.failed > 0)
