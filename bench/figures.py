#!/usr/bin/env python3
"""figures.py SLIPWAY - start-up, conversion against cp, linearity. Times are of whole processes.

Prints one line a figure with the command that gives it; a peer (cp) runs beside us in turn. These are
benchmarks, not tests: nothing here decides anything. Needs the judges' Python (onnx, numpy).
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'tests', 'judges'))
os.environ.setdefault('SLIPWAY', sys.argv[1])
os.environ.setdefault('SHARED', '')
os.environ.setdefault('OUT', tempfile.mkdtemp())
SLIPWAY, OUT = os.path.realpath(sys.argv[1]), os.environ['OUT']


def once(words):
    begin = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def pairs(ours, theirs, n=20):
    a, b = [], []
    once(ours), once(theirs)
    for _ in range(n):
        a.append(once(ours))
        b.append(once(theirs))
    ratios = sorted(x / y for x, y in zip(a, b))
    return statistics.median(ratios), min(a) / min(b), statistics.median(a)


def main():
    import importlib
    import judge
    judge.each = lambda cases: None  # take the makers of models only
    limits = importlib.import_module('70_limits')
    start = [once([SLIPWAY, '--version']) for _ in range(50)]
    print(f'start-up: median {1e3 * statistics.median(start):.2f} ms (slipway --version, 50 runs)')
    model = os.path.join(OUT, 'm100.onnx')
    limits.big_model(model, 10, 1600, False)
    median, least, seconds = pairs([SLIPWAY, 'convert', model, '-o', os.path.join(OUT, 'o.onnx')],
                                   ['cp', model, os.path.join(OUT, 'c.onnx')])
    print(f'convert of {os.path.getsize(model) / 1e6:.0f} MB against cp, warm: median ratio {median:.2f}, ratio of minima {least:.2f}, median {1e3 * seconds:.0f} ms')
    for n in (50000, 100000, 200000):
        path = os.path.join(OUT, f'chain{n}.onnx')
        limits.chain(path, n)
        times = [once([SLIPWAY, 'convert', path, '-o', os.path.join(OUT, 'o.onnx')]) for _ in range(5)]
        print(f'chain of {n} nodes: median {statistics.median(times):.2f} s')


main()
