"""Real networks, quantised and legalised by us, whole on Qualcomm's emulated Hexagon NPU.

Each is converted with `--target ort-qnn`, which rewrites, quantises and checks; it runs there with no operator on the CPU (htp_run.py refuses otherwise), and `slipway verify`
states the NPU's own SQNR and arg-max against the float original beside what our engine predicts for the same file. The
NPU may lie below the prediction by what quant_peers.md section 2 measured of its arithmetic: at most 3 dB here.
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
NETS = ['mnist', 'ultraface', 'mobilenet_v1', 'fastestdet', 'ppocr_det', 'silero_vad', 'yolox_nano']
SAMPLES = {'mnist': 20, 'mobilenet_v1': 12, 'silero_vad': 20}  # 2 of the others


def shapes(folder):
    """--shape of every input that the data fixes."""
    words = []
    for f in sorted(glob.glob(folder + '/*_0000.npy')):
        dims = ','.join(map(str, np.load(f).shape))
        words += ['--shape', f'{os.path.basename(f)[:-9]}={dims}']
    return words


def one_net(name):
    judges = os.path.join(SHARED, 'judges')
    made = subprocess.run([sys.executable, os.path.join(judges, 'quant_data.py'), MODELS, OUT, name], capture_output=True, text=True)
    if made.returncode:
        return made.stderr[-300:]
    folder = os.path.join(OUT, name)
    original, artifact = glob.glob(folder + '/model.*')[0], os.path.join(folder, 'q.onnx')
    fixed = shapes(folder + '/eval') if original.endswith('.onnx') else []
    status, _, talk = slipway('convert', original, '-o', artifact, '--target', 'ort-qnn', '--calib', folder + '/calib', '--calib-steps', 32, *fixed)
    if not check(f'{name} fits ort-qnn', status == 0, talk):
        return None
    few, npu = os.path.join(folder, 'few'), os.path.join(folder, 'npu')
    os.makedirs(few)
    for k in range(SAMPLES.get(name, 2)):
        for f in glob.glob(f'{folder}/eval/*_{k:04d}.npy'):
            os.link(f, os.path.join(few, os.path.basename(f)))
    done = subprocess.run([sys.executable, os.path.join(judges, 'htp_run.py'), artifact, '--inputs', few, '--out', npu,
                           '--option', 'soc_model=43'], capture_output=True, text=True, timeout=600)
    if not check(f'{name} whole on the NPU', done.returncode == 0, done.stdout[-300:] + done.stderr[-200:]):
        return None
    status, said, talk = slipway('verify', original, artifact, npu, '--inputs', few, '--metric', 'top1', '--reference-engine',
                                 'fast', '--json', *fixed)
    if status:
        return talk
    ours, theirs = json.loads(said)['candidates']
    for a, b in zip(ours['outputs'], theirs['outputs']):
        print(f"# {name} {a['output']}: predicted {a['sqnr_db']:.2f} dB, on the NPU {b['sqnr_db']:.2f} dB; same arg-max "
              f"{ours['argmax_agreement']:.2f}, {theirs['argmax_agreement']:.2f}")
        check(f"{name} {a['output']}: the NPU is near the prediction", b['sqnr_db'] >= a['sqnr_db'] - 3, f'{a} {b}')
    return None


judge.each([(n, lambda n=n: one_net(n)) for n in NETS])
