#!/usr/bin/env python3
"""int8.py SLIPWAY SHARED - the int8 table of docs/results.md: our verification beside the runtimes' own answers."""
import importlib
import json
import os
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, '..', 'tests', 'judges'))
os.environ.update(SLIPWAY=os.path.realpath(sys.argv[1]), SHARED=os.path.realpath(sys.argv[2]), OUT=tempfile.mkdtemp())
import judge
judge.each = lambda cases: None  # its makers of data and runs only
nets = importlib.import_module('50_int8')
import glob
import numpy as np

print('| net | artifact | bytes, of the float | correlation | SQNR dB, `slipway verify` | SQNR dB, LiteRT or ONNX Runtime | same arg-max |')
print('|---|---|---|---|---|---|---|')
for name, file, shape, folder, scale, shift, _ in nets.NETS:
    path = os.path.join(nets.MODELS, file)
    data = nets.make_data(name, shape, folder, 12, scale, shift)
    samples = [np.load(f) for f in sorted(glob.glob(data + '/*.npy'))]
    reference = nets.reference_answers(path, samples)
    for suffix, run in (('tflite', nets.run_tflite), ('onnx', nets.run_onnx)):
        artifact = os.path.join(nets.OUT, f'{name}.{suffix}')
        status, _, talk = judge.slipway('convert', path, '-o', artifact, '--quantize', 'int8', '--calib', data)
        if status:
            print(f'| {name} | {suffix} | failed: {talk.strip()} |')
            continue
        got = [list(a) for a in run(artifact, samples)]
        theirs = nets.per_output(reference, [[g.transpose(0, 3, 1, 2) if g.shape != r.shape and g.ndim == 4 else g for g, r in zip(a, b)] for a, b in zip(got, reference)])
        _, said, _ = judge.slipway('verify', path, artifact, '--inputs', data, '--metric', 'top1', '--json')
        c = json.loads(said)['candidates'][0]
        list_of = lambda key, fmt: ', '.join(format(o[key], fmt) for o in c['outputs'])
        print(f"| {name} | {suffix} | {os.path.getsize(artifact)}, {os.path.getsize(path)} | {list_of('correlation', '.4f')} | {list_of('sqnr_db', '.1f')} | "
              f"{', '.join(f'{t:.1f}' for t in theirs)} | {100 * c['argmax_agreement']:.0f} % |")
