"""`slipway check --target ort-qnn` against Qualcomm's NPU itself (its emulator, Hexagon v73).

Small QDQ networks of one operator (qdq_nets.py) and real networks quantised by us, at 8 and at 16 bits. What check calls
clean must be placed whole on the NPU; what the NPU does not take, or its compiler dies of, we have named beforehand.
What we name though it would be taken is counted, and may be a twentieth at most. That the results of the real networks
are right is 68_npu_nets.py's business. SLIPWAY_LONG=1: ten times as many networks.
"""
import glob
import importlib.util
import json
import os
import subprocess
import sys

import judge
import onnx
import qdq_nets
from judge import OUT, SHARED, slipway

SEED, COUNT = 20261128, 1900 if os.environ.get('SLIPWAY_LONG') else 190
MODELS = os.path.join(SHARED, 'models')
REAL = ['onnx/mnist-8.onnx', 'onnx/ultraface_RFB-320.onnx', 'onnx/fastestdet.onnx', 'onnx/super_resolution_10.onnx',
        'tflite/mobilenet_v1_0.25_224_float.tflite', 'onnx/mobilenet_v3_small_random.onnx', 'onnx/yolox_nano.onnx',
        'tflite/resnet8_cifar10_float.tflite']
# named by us though the NPU takes it
KNOWN = {'super_resolution_10': 'six dims between two Reshapes are a DepthToSpace to the provider'}
SHAPES = {'super_resolution_10': ['--shape', 'input=1,1,224,224'], 'resnet8_cifar10_float': ['--shape', 'input_1=1,32,32,3']}


def placements(paths):
    """{path: what stays on the CPU}, "" for nothing. The NPU's compiler ends the process on some networks: a worker
    for all of them, started again behind the one it died of."""
    found, todo = {}, list(paths)
    while todo:
        done = subprocess.run([sys.executable, __file__, '--worker', *todo], capture_output=True, text=True)
        for line in done.stdout.splitlines():
            if line.startswith('["/'):  # the NPU's libraries write where they like
                path, said = json.loads(line)
                found[path] = said
        left = [p for p in todo if p not in found]
        if left:
            found[left[0]] = f'the process ended with {done.returncode}'
        todo = left[1:]
    return found


def worker(paths):
    spec = importlib.util.spec_from_file_location('htp_run', os.path.join(SHARED, 'judges', 'htp_run.py'))
    htp = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(htp)
    out = os.fdopen(os.dup(1), 'w')  # the runtime chats on stdout
    os.dup2(2, 1)
    for path in paths:
        try:
            said = ', '.join(sorted({op for _, op in htp.on_cpu(htp.session(path, {'soc_model': '43'}, True))}))
        except Exception as e:
            said = ' '.join(str(e).split())[:120]
        print(json.dumps([path, said]), file=out, flush=True)
    os._exit(0)  # the emulator's own shutdown is not ours to wait for


def named(path):
    """[rule] of the errors."""
    status, out, err = slipway('check', path, '--target', 'ort-qnn', '--json')
    if status not in (0, 1) or not out.strip():
        raise RuntimeError(err)
    groups = [v for v in json.loads(out)['violations'] if v['severity'] == 'error']
    assert all(v['cure'] and v['source'] for v in groups), 'a violation without cure or source'
    return sorted({v['rule'] for v in groups})


def generated():
    folder, about = os.path.join(OUT, 'nets'), {}
    os.makedirs(folder)
    for net in qdq_nets.nets(SEED, COUNT):
        path = os.path.join(folder, net.name + '.onnx')
        onnx.save(net.model, path)
        about[path] = net.about
    taken, missed, over, refused = placements(about), [], [], 0
    for path, left in taken.items():
        try:
            rules = named(path)
        except RuntimeError as e:
            if left:
                continue  # a model that ONNX itself refuses
            raise e
        refused += bool(left)
        text = f'{os.path.basename(path)[:-5]} ({about[path]})'
        if left and not rules:
            missed.append(f'{text}: {left}')
        elif rules and not left:
            over.append(f'{text}: {rules}')
    print(f'# {len(taken)} networks: the NPU does not take {refused}; named though taken: {len(over)} {over[:5]}', flush=True)
    judge.check(f'named-though-taken-at-most-{COUNT // 20}', len(over) <= COUNT // 20, over)
    return f'{len(missed)} not named: ' + ' | '.join(missed[:10]) if missed else None


def real(scheme):
    paths = {}
    for model in REAL:
        stem = os.path.splitext(os.path.basename(model))[0]
        path = os.path.join(OUT, f'{stem}_{scheme}.onnx')
        status, _, err = slipway('quantize', os.path.join(MODELS, model), '-o', path, '--scheme', scheme, '--calib', 'random:1:2',
                                 *SHAPES.get(stem, []))
        if status:
            return f'{stem}: {err}'
        paths[path] = named(path)
    bad, whole = [], 0
    for path, left in placements(paths).items():
        print(f'# {os.path.basename(path)}: named {paths[path] or "nothing"}, on the CPU: {left or "nothing"}', flush=True)
        whole += not left
        stem = os.path.basename(path)
        if bool(left) != bool(paths[path]) and (left or not any(stem.startswith(k) for k in KNOWN)):
            bad.append(stem)
    judge.check(f'{scheme}-six-whole', whole >= 6, f'{whole} of {len(paths)} networks')
    return ' '.join(bad) or None


if sys.argv[1:2] == ['--worker']:
    worker(sys.argv[2:])
judge.each([(f'generated-{COUNT}', generated), ('networks-int8', lambda: real('int8')), ('networks-w8a16', lambda: real('w8a16'))])
