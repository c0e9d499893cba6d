#!/usr/bin/env python3
"""Memory and sizes: what must pass under a data limit, and results that must not depend on anything.

Anonymous memory of a conversion stays under 64 MB + the largest tensor (RLIMIT_DATA, so mapped files do
not count): a 1.9 GB model with external data, a chain of 200 000 nodes, calibration on 32 and on 2 000
samples. The quantised file is the same for 1, 2 and 4 threads, shuffled samples, and three shards.
"""
import hashlib
import os
import resource
import shutil
import subprocess

import numpy as np
import onnx
from onnx import TensorProto, helper
import judge
from judge import OUT, SHARED, SLIPWAY, check

MB = 1 << 20


def limited(words, megabytes, threads='2'):
    """Run the program under a data limit; returns (status, stderr)."""
    done = subprocess.run([SLIPWAY, *words, '--threads', threads], stdin=subprocess.DEVNULL, timeout=600,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (megabytes * MB, megabytes * MB)))
    return done.returncode, done.stderr[-400:]


def big_model(path, layers, size, external):
    """A chain of size x size matrix products; with external data written as holes of a sparse file."""
    weights, nodes, last = [], [], 'x'
    folder = os.path.dirname(path)
    if external:
        with open(path + '.data', 'wb') as f:
            f.truncate(layers * size * size * 4)
            rng = np.random.default_rng(1)
            for k in range(layers):  # something in each tensor
                f.seek(k * size * size * 4)
                f.write(rng.standard_normal(4096, np.float32).tobytes())
    for k in range(layers):
        t = TensorProto(name=f'w{k}', data_type=TensorProto.FLOAT, dims=[size, size])
        if external:
            t.data_location = TensorProto.EXTERNAL
            for key, value in (('location', os.path.basename(path) + '.data'), ('offset', str(k * size * size * 4)), ('length', str(size * size * 4))):
                t.external_data.add(key=key, value=value)
        else:
            t.raw_data = np.random.default_rng(k).standard_normal((size, size), np.float32).tobytes()
        weights.append(t)
        nodes.append(helper.make_node('MatMul', [last, f'w{k}'], [f'm{k}']))
        nodes.append(helper.make_node('Sigmoid', [f'm{k}'], [f's{k}']))
        last = f's{k}'
    x = helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, size])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, size])
    model = helper.make_model(helper.make_graph(nodes, 'big', [x], [y], weights), opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    with open(path, 'wb') as f:
        f.write(model.SerializeToString())


def chain(path, n):
    """n nodes, alternating so that nothing cancels."""
    nodes = [helper.make_node('Sigmoid' if k % 2 else 'Sin', [f'v{k}'], [f'v{k + 1}']) for k in range(n)]
    x = helper.make_tensor_value_info('v0', TensorProto.FLOAT, [1, 4])
    y = helper.make_tensor_value_info(f'v{n}', TensorProto.FLOAT, [1, 4])
    model = helper.make_model(helper.make_graph(nodes, 'chain', [x], [y]), opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    with open(path, 'wb') as f:
        f.write(model.SerializeToString())


def huge():
    path = os.path.join(OUT, 'huge.onnx')
    if shutil.disk_usage(OUT).free < 8 << 30:
        judge.skip('1.9 GB with external data', 'less than 8 GB of disk')
        return None
    big_model(path, 19, 5000, True)
    status, talk = limited(['convert', path, '-o', os.path.join(OUT, 'huge2.onnx'), '--external-data'], 64 + 100)
    for f in os.listdir(OUT):
        if f.startswith('huge'):
            os.remove(os.path.join(OUT, f))
    return None if status == 0 else f'status {status}: {talk}'


def long_chain():
    path = os.path.join(OUT, 'chain.onnx')
    chain(path, 200000)
    done = subprocess.run([SLIPWAY, 'convert', path, '-o', os.path.join(OUT, 'chain2.onnx')], capture_output=True, text=True, timeout=60)
    return None if done.returncode == 0 else done.stderr[-300:]


def samples(folder, count, shape=(1, 3, 240, 320)):
    os.makedirs(folder, exist_ok=True)
    for k in range(count):
        rng = np.random.default_rng(k)
        np.save(os.path.join(folder, f's{k:05d}.npy'), rng.standard_normal(shape, np.float32))


def calibration_memory():
    path = os.path.join(SHARED, 'models/tflite/resnet8_cifar10_float.tflite')
    folder = os.path.join(OUT, 'calib')
    for count in (32, 2000):
        samples(folder, 32, (1, 32, 32, 3))
        for k in range(32, count):
            if not os.path.exists(os.path.join(folder, f's{k:05d}.npy')):
                os.link(os.path.join(folder, f's{k % 32:05d}.npy'), os.path.join(folder, f's{k:05d}.npy'))
        status, talk = limited(['convert', path, '-o', os.path.join(OUT, f'c{count}.tflite'), '--quantize', 'int8', '--method', 'percentile', '--calib', folder], 64 + 2)
        check(f'calibration on {count} samples under {64 + 2} MB', status == 0, f'status {status}: {talk}')
    shutil.rmtree(folder)


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


def same_everywhere():
    path = os.path.join(SHARED, 'models/onnx/ultraface_RFB-320.onnx')
    folder, shuffled = os.path.join(OUT, 'few'), os.path.join(OUT, 'shuffled')
    samples(folder, 9)
    os.makedirs(shuffled)
    for k in range(9):
        os.link(os.path.join(folder, f's{k:05d}.npy'), os.path.join(shuffled, f's{(k * 4) % 9:05d}.npy'))
    quantise = ['convert', path, '--quantize', 'int8', '--method', 'percentile']
    results = {}
    for name, words, threads in [('1 thread', ['--calib', folder], 1), ('2 threads', ['--calib', folder], 2),
                                 ('4 threads', ['--calib', folder], 4), ('shuffled', ['--calib', shuffled], 2)]:
        out = os.path.join(OUT, name.replace(' ', '') + '.tflite')
        status, _, talk = judge.slipway(*quantise, '-o', out, *words, '--threads', threads)
        if not check(f'quantise with {name}', status == 0, talk):
            return
        results[name] = digest(out)
    parts = []
    for i in range(3):
        part = os.path.join(OUT, f'part{i}')
        status, _, talk = judge.slipway(*quantise, '--calib', folder, '--shard', f'{i}/3', '--stats', part, '--to', 'tflite')
        if not check(f'shard {i}/3', status == 0, talk):
            return
        parts.append(part)
    whole = os.path.join(OUT, 'whole')
    status, _, talk = judge.slipway('merge-stats', *parts, '-o', whole)
    if check('merge-stats', status == 0, talk):
        out = os.path.join(OUT, 'merged.tflite')
        status, _, talk = judge.slipway(*quantise, '-o', out, '--stats', whole)
        if check('quantise from merged statistics', status == 0, talk):
            results['3 shards'] = digest(out)
        single = os.path.join(OUT, 'single')
        judge.slipway(*quantise, '--calib', folder, '--shard', '0/1', '--stats', single, '--to', 'tflite')
        check('merged statistics are the bytes of one process', digest(single) == digest(whole))
    for name, value in results.items():
        check(f'the same bytes with {name}', value == results['1 thread'])


judge.each([('1.9 GB with external data under 164 MB', huge), ('a chain of 200 000 nodes converts', long_chain),
            ('calibration memory', calibration_memory), ('the same bytes however it is calibrated', same_everywhere)])
