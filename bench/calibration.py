#!/usr/bin/env python3
"""calibration.py SLIPWAY SHARED [--pairs N] [--real N] [--nets A,B] [--work DIR] - calibration against ONNX Runtime.

Both quantise the same float model on the same .npy samples to QDQ with per-channel weights: `slipway quantize` as a
whole process, ONNX Runtime's quantize_static as a call in a process that has imported it already. One of each is a
pair; the order within a pair alternates. Printed: the median of the pairs' ratios of wall time, the ratio of the
minima, and the ratio of CPU time (which others on the machine disturb less); at the end geometric means, and how much
of the machine others took.

min-max and entropy are quantize_static's own. Its entropy has 128 bins for 128 levels, so there is one candidate: the
whole range. --real N times N runs of ONNX Runtime's calibrator with 2048 bins as well, which is what ours does.
"""
import argparse
import glob
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

NETS = ['ultraface', 'fastestdet', 'yolox_nano', 'super_resolution', 'mnist', 'ppocr_det']
MOST = 32


def samples_of(folder):
    """[{input: file}], as quant_data.py names them: <input>_<k>.npy"""
    samples = {}
    for path in sorted(glob.glob(folder + '/*.npy')):
        name, _, k = os.path.basename(path)[:-4].rpartition('_')
        samples.setdefault(int(k), {})[name] = path
    return [samples[k] for k in sorted(samples)]


# ---- the peer: reads lines "MODEL DATA METHOD OUT", answers with seconds of wall and of CPU -------------------------

def peer():
    import numpy as np
    import onnxruntime
    from onnxruntime import quantization as q
    from onnxruntime.quantization.calibrate import create_calibrator
    onnxruntime.set_default_logger_severity(4)
    talk, sys.stdout = sys.stdout, open(os.devnull, 'w')

    class Reader(q.CalibrationDataReader):
        def __init__(self, folder):
            self.left = iter(samples_of(folder))

        def get_next(self):
            sample = next(self.left, None)
            return sample and {name: np.load(path) for name, path in sample.items()}

    for line in sys.stdin:
        model, data, method, out = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        if method == 'real-entropy':
            c = create_calibrator(model, None, out, q.CalibrationMethod.Entropy, extra_options={'num_bins': 2048, 'num_quantized_bins': 128})
            c.collect_data(Reader(data))
            c.compute_data()
        else:
            q.quantize_static(model, out, Reader(data), quant_format=q.QuantFormat.QDQ, per_channel=True, activation_type=q.QuantType.QUInt8,
                              weight_type=q.QuantType.QInt8, calibrate_method={'minmax': q.CalibrationMethod.MinMax, 'entropy': q.CalibrationMethod.Entropy}[method],
                              extra_options={'WeightSymmetric': True, 'ActivationSymmetric': False})
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), file=talk, flush=True)


class Peer:
    def __init__(self):
        self.process = subprocess.Popen([sys.executable, __file__, '--peer'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def time(self, model, data, method, out):
        self.process.stdin.write(json.dumps([model, data, method, out]) + '\n')
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(slipway, model, data, method, out):
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([slipway, 'quantize', model, '-o', out, '--scheme', 'int8', '--method', method, '--per-channel', 'yes', '--calib', data],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    return [wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]


# ---- the run ---------------------------------------------------------------------------------------------------------

def prepare(shared, work, nets):
    """WORK/NET/float.onnx and WORK/NET/calib with at most MOST samples."""
    sys.path.insert(0, os.path.join(shared, 'judges'))
    import numpy as np
    import quant_peers
    missing = [n for n in nets if not os.path.isdir(f'{work}/data/{n}/calib')]
    if missing:
        subprocess.run([sys.executable, f'{shared}/judges/quant_data.py', f'{shared}/models', f'{work}/data', *missing], check=True, stdout=subprocess.DEVNULL)
    for net in nets:
        folder = f'{work}/{net}'
        os.makedirs(folder + '/calib', exist_ok=True)
        samples = samples_of(f'{work}/data/{net}/calib')
        chosen = [samples[i * len(samples) // MOST] for i in range(MOST)] if len(samples) > MOST else samples
        for k, sample in enumerate(chosen):
            for name, path in sample.items():
                link = f'{folder}/calib/{name}_{k}.npy'
                if not os.path.exists(link):
                    os.symlink(os.path.realpath(path), link)
        if not os.path.exists(folder + '/float.onnx'):
            quant_peers.prepare(f'{work}/data/{net}/model.onnx', {k: np.load(v).shape for k, v in chosen[0].items()}, folder + '/float.onnx')


def machine():
    """CPU seconds of the whole machine: busy, all."""
    with open('/proc/stat') as f:
        t = [int(x) / 100 for x in f.readline().split()[1:9]]
    return sum(t) - t[3] - t[4], sum(t)


def race(peer, slipway, work, net, method, pairs):
    model, data, out = f'{work}/{net}/float.onnx', f'{work}/{net}/calib', f'{work}/{net}/out.onnx'
    a, b = [], []
    peer.time(model, data, method, out)
    for k in range(pairs):
        if k % 2:
            b.append(peer.time(model, data, method, out))
        a.append(ours(slipway, model, data, method, out))
        if k % 2 == 0:
            b.append(peer.time(model, data, method, out))
    wall = statistics.median(y[0] / x[0] for x, y in zip(a, b))
    least = min(y[0] for y in b) / min(x[0] for x in a)
    cpu = statistics.median(y[1] / max(x[1], 1e-3) for x, y in zip(a, b))
    print(f'| {net} | {method} | {pairs} | {min(x[0] for x in a):.3f} | {min(y[0] for y in b):.3f} | {wall:.1f} | {least:.1f} | {cpu:.1f} |', flush=True)
    return wall, least, cpu, statistics.median(x[0] for x in a)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('slipway')
    p.add_argument('shared')
    p.add_argument('--pairs', type=int, default=20)
    p.add_argument('--real', type=int, default=0, metavar='N')
    p.add_argument('--methods', default='minmax,entropy')
    p.add_argument('--nets', default=','.join(NETS))
    p.add_argument('--work', help='keep models and data here')
    o = p.parse_args()
    nets, work, slipway = o.nets.split(','), o.work or tempfile.mkdtemp(), os.path.realpath(o.slipway)
    prepare(os.path.realpath(o.shared), work, nets)
    begin, others, mine = time.perf_counter(), machine(), os.times()
    print('| net | method | pairs | slipway, least s | ONNX Runtime, least s | median of ratios | ratio of minima | CPU time, median of ratios |')
    print('|---|---|---|---|---|---|---|---|')
    runs = {}
    for method in o.methods.split(','):
        for net in nets:
            peer = Peer()
            runs.setdefault(method, []).append(race(peer, slipway, work, net, method, o.pairs))
            if method == 'entropy' and o.real:
                model = f'{work}/{net}/float.onnx'
                theirs = min(peer.time(model, f'{work}/{net}/calib', 'real-entropy', f'{work}/{net}/out.onnx')[0] for _ in range(o.real))
                print(f'| {net} | entropy, 2048 bins | {o.real} | | {theirs:.1f} | | {theirs / runs[method][-1][3]:.0f} | |', flush=True)
                runs.setdefault('entropy, 2048 bins', []).append((theirs / runs[method][-1][3],) * 3)
            peer.close()
    for method, rows in runs.items():
        mean = [math.exp(statistics.mean(math.log(r[k]) for r in rows)) for k in range(3)]
        print(f'geometric mean, {method}: median of ratios {mean[0]:.1f}, ratio of minima {mean[1]:.1f}, CPU time {mean[2]:.1f}')
    now, done = machine(), os.times()
    used = sum(done[:4]) - sum(mine[:4])
    print(f'{time.perf_counter() - begin:.0f} s on {os.cpu_count()} cores; others took about {max(0, now[0] - others[0] - used):.0f} of {now[1] - others[1]:.0f} CPU seconds')


peer() if sys.argv[1:] == ['--peer'] else main()
