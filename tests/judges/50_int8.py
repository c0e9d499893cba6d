#!/usr/bin/env python3
"""int8 artifacts before software we did not write.

For each of the real nets: `slipway convert --quantize int8` on real data to TFLite and to QDQ ONNX; LiteRT
(reference kernels) and ONNX Runtime must load and run them, and stay near the float original; `slipway
verify` must work and its SQNR must agree with what the runtimes give. Two QDQ files run whole on the
emulated Hexagon NPU (no operator on the CPU), two int8 TFLite files compile in Arm's Vela with nothing
left to the CPU.
"""
import glob
import json
import os
import subprocess
import sys

import numpy as np
import judge
from judge import OUT, SHARED, check, ok, slipway

MODELS = os.path.join(SHARED, 'models')
PICTURES = os.path.join(OUT, 'data')


def make_data(name, shape, folder, count, scale, shift):
    """Pictures as float .npy in the model's own layout; returns the folder."""
    from PIL import Image
    files = sorted(glob.glob(os.path.join(MODELS, 'data', folder, '*.jpg'))
                   + glob.glob(os.path.join(MODELS, 'data', folder, '*.JPEG'))
                   + glob.glob(os.path.join(MODELS, 'data', folder, '*.png')))[:count]
    out = os.path.join(PICTURES, name)
    os.makedirs(out, exist_ok=True)
    nhwc = shape[3] in (1, 3)
    h, w, c = (shape[1], shape[2], shape[3]) if nhwc else (shape[2], shape[3], shape[1])
    for k, f in enumerate(files):
        image = Image.open(f).convert('RGB' if c == 3 else 'L').resize((w, h), Image.BILINEAR)
        x = np.asarray(image, np.float32).reshape(h, w, c) * scale + shift
        np.save(os.path.join(out, f'sample_{k:04d}.npy'), np.ascontiguousarray(x[None] if nhwc else x.transpose(2, 0, 1)[None]))
    return out


# name, file, input shape, pictures, scale, shift, least SQNR in dB of each output of the int8 artifact
NETS = [
    ('ultraface', 'onnx/ultraface_RFB-320.onnx', (1, 3, 240, 320), 'faces', 1 / 128, -127 / 128, 20),
    ('mobilenet_v1', 'tflite/mobilenet_v1_0.25_224_float.tflite', (1, 224, 224, 3), 'imagenet', 1 / 127.5, -1, 8),
    ('resnet8', 'tflite/resnet8_cifar10_float.tflite', (1, 32, 32, 3), 'cifar10', 1, 0, 12),
    ('fastestdet', 'onnx/fastestdet.onnx', (1, 3, 352, 352), 'photos', 1 / 255, 0, 6),
]


def sqnr(reference, got):
    reference, got = np.concatenate([r.ravel() for r in reference]).astype(np.float64), np.concatenate([g.ravel() for g in got]).astype(np.float64)
    return 10 * np.log10((reference ** 2).sum() / max(((reference - got) ** 2).sum(), 1e-300))


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


def run_onnx(path, samples):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    net = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return [net.run(None, {net.get_inputs()[0].name: x}) for x in samples]


def reference_answers(path, samples):
    return run_onnx(path, samples) if path.endswith('.onnx') else run_tflite(path, samples)


def per_output(reference, got):
    return [sqnr([r[i] for r in reference], [g[i] for g in got]) for i in range(len(reference[0]))]


def one_net(name, file, shape, folder, scale, shift, least):
    path = os.path.join(MODELS, file)
    calib = make_data(name + '_calib', shape, folder, 40, scale, shift)
    few = os.path.join(PICTURES, name + '_few')
    os.makedirs(few, exist_ok=True)
    for f in sorted(glob.glob(calib + '/*.npy'))[:12]:
        os.link(f, os.path.join(few, os.path.basename(f)))
    samples = [np.load(f) for f in sorted(glob.glob(few + '/*.npy'))]
    reference = reference_answers(path, samples)
    for suffix, run in (('tflite', run_tflite), ('onnx', run_onnx)):
        artifact = os.path.join(OUT, f'{name}_int8.{suffix}')
        status, said, talk = slipway('convert', path, '-o', artifact, '--quantize', 'int8', '--calib', calib)
        if not check(f'{name} {suffix} convert', status == 0, talk):
            continue
        if suffix == 'onnx':
            import onnx
            onnx.checker.check_model(artifact, full_check=True)
            ok(f'{name} onnx checker')
        got = [list(a) for a in run(artifact, samples)]
        if reference[0][0].ndim == 4 and got[0][0].shape != reference[0][0].shape:
            got = [[g.transpose(0, 3, 1, 2) if g.ndim == 4 else g for g in a] for a in got]
        # outputs in the order of the original: match by shape where orders differ
        theirs = per_output(reference, got)
        check(f'{name} {suffix} near the original in the runtime', min(theirs) >= least, f'SQNR {theirs}')
        status, said, talk = slipway('verify', path, artifact, '--inputs', few, '--metric', 'top1', '--json')
        if check(f'{name} {suffix} verify', status == 0, talk):
            report = json.loads(said)['candidates'][0]
            ours = [o['sqnr_db'] for o in report['outputs']]
            check(f'{name} {suffix} verify states correlation, SQNR, top-1',
                  all('correlation' in o for o in report['outputs']) and 'argmax_agreement' in report, said)
            check(f'{name} {suffix} verify agrees with the runtime',
                  all(abs(a - b) < 3 for a, b in zip(ours, theirs)), f'{ours} against {theirs}')


def on_npu(name, shape):
    """The QDQ file whole on the emulated NPU."""
    artifact, data = os.path.join(OUT, f'{name}_int8.onnx'), os.path.join(OUT, f'{name}_npu')
    os.makedirs(data, exist_ok=True)
    import onnx
    model = onnx.load(artifact)
    sample = np.load(sorted(glob.glob(os.path.join(PICTURES, name + '_calib', '*.npy')))[0])
    np.save(os.path.join(data, f'{model.graph.input[0].name}_0.npy'.replace('/', '_')), sample)
    done = subprocess.run([sys.executable, os.path.join(SHARED, 'judges', 'htp_run.py'), artifact, '--inputs', data, '--json'],
                          capture_output=True, text=True, timeout=600)
    return None if done.returncode == 0 else done.stdout[-400:] + done.stderr[-200:]


def in_vela(name):
    artifact = os.path.join(OUT, f'{name}_int8.tflite')
    done = subprocess.run([os.path.join(os.path.dirname(sys.executable), 'vela'), artifact, '--output-dir', OUT, '--show-cpu-operations'],
                          capture_output=True, text=True, timeout=600)
    return None if done.returncode == 0 else done.stdout[-300:] + done.stderr[-300:]


cases = [(net[0], lambda net=net: one_net(*net)) for net in NETS]
cases += [(f'{n} whole on the emulated NPU', lambda n=n, s=s: on_npu(n, s)) for n, s in
          (('ultraface', (1, 3, 240, 320)), ('fastestdet', (1, 3, 352, 352)))]
cases += [(f'{n} in Vela', lambda n=n: in_vela(n)) for n in ('resnet8', 'mobilenet_v1')]
judge.each(cases)
