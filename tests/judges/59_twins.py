"""Our int8 beside the int8 file that the benchmark's authors published for the same float network.

On the same held-out pictures our file must keep the float network's answer at least as often as theirs, less one
point. `slipway verify` prints the paired test (McNemar, exact). resnet8 is the one float network in models/tflite with
such a twin.
"""
import json
import os
import subprocess
import sys

import judge
from judge import OUT, SHARED, check, slipway

MODELS = os.path.join(SHARED, 'models')


def twins():
    made = subprocess.run([sys.executable, os.path.join(SHARED, 'judges', 'quant_data.py'), MODELS, OUT, 'resnet8'],
                          capture_output=True, text=True)
    if not check('resnet8 data', made.returncode == 0, made.stderr[-300:]):
        return
    original = os.path.join(MODELS, 'tflite', 'resnet8_cifar10_float.tflite')
    theirs = os.path.join(MODELS, 'tflite', 'resnet8_cifar10_int8.tflite')
    ours = os.path.join(OUT, 'resnet8.tflite')
    status, _, talk = slipway('quantize', original, '-o', ours, '--scheme', 'int8', '--calib',
                              os.path.join(OUT, 'resnet8', 'calib'))
    if not check('resnet8 quantize', status == 0, talk):
        return
    status, said, talk = slipway('verify', original, theirs, ours, '--inputs', os.path.join(OUT, 'resnet8', 'eval'),
                                 '--metric', 'top1', '--reference-engine', 'fast', '--json')
    if not check('resnet8 verify', status == 0, talk):
        return
    them, us = json.loads(said)['candidates']
    paired = us['paired_agreement']
    print(f"# resnet8, {paired['samples']} pictures: float answer kept by theirs {them['argmax_agreement']:.4f}, by ours "
          f"{us['argmax_agreement']:.4f}; theirs alone {paired['only_first']}, ours alone {paired['only_this']}, p = {paired['p_equal']:.3g}")
    check('resnet8 keeps the float answer as often as its published twin',
          us['argmax_agreement'] >= them['argmax_agreement'] - 0.01, f'{us} {them}')


judge.each([('twins', twins)])
