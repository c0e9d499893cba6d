"""Calibration methods, before programs we did not write and loops that we wrote apart from them.

A network that halves its input, so that the observed values are known: the encoding in the artifact
must be that of the method computed here with numpy from the raw values. ONNX Runtime's own calibrators (min-max,
percentile, entropy with 2048 bins) are asked about the same data where they mean the same.
"""
import os

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, slipway
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

onnxruntime.set_default_logger_severity(4)
N, SAMPLES, BINS = 40000, 4, 2048
rng = np.random.default_rng(7)
DATA = {
    'normal': lambda: rng.normal(size=N),
    'rectified': lambda: np.maximum(rng.normal(size=N), 0),
    'laplace': lambda: rng.laplace(size=N) * 3,
    'skewed': lambda: rng.gamma(2, 1, N) - 0.5,
    'negative': lambda: -np.abs(rng.normal(size=N)),
}
METHODS = ['minmax', 'mean-minmax', 'percentile', 'entropy', 'mse', 'enhanced', 'octav']


def model(path):
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, N]) for n in 'xy')
    half = helper.make_tensor('half', TensorProto.FLOAT, [1], [0.5])
    onnx.save(helper.make_model(helper.make_graph([helper.make_node('Mul', ['x', 'half'], ['y'])], 'g', [x], [y], [half]),
                                opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)


def data(name):
    folder = f'{OUT}/{name}'
    os.makedirs(folder, exist_ok=True)
    samples = [DATA[name]().astype(np.float32)[None] * (1 + k / 8) for k in range(SAMPLES)]
    for k, x in enumerate(samples):
        np.save(f'{folder}/{k}.npy', 2 * x)
    return folder, samples


# ---- the methods, from the raw values ----------------------------------------------------------------------------------

def encoding(lo, hi, symmetric):
    lo, hi = min(lo, 0), max(hi, 0)
    if symmetric:
        return np.float32(max(-lo, hi) / 127), 128
    s = np.float32((hi - lo) / 255)
    return s, int(np.clip(np.rint(-lo / s), 0, 255))


def cost(x, scale, zero, weight=1.0):
    q = np.rint(x / scale) + zero
    d = (x - (np.clip(q, 0, 255) - zero) * scale) ** 2
    return d[(q >= 0) & (q <= 255)].sum() + weight * d[(q < 0) | (q > 255)].sum()


def kl_threshold(x, levels):
    """NVIDIA's loops on |x| with the bins that slipway documents; the tail goes to the last bin that is not empty."""
    width = 2.0 ** np.ceil(np.log2((x.max() - x.min()) / BINS) - 1)
    while np.floor(x.max() / width) - np.floor(x.min() / width) + 1 >= BINS:
        width *= 2
    h = np.bincount(np.floor(np.abs(x) / width).astype(int)).astype(float)
    h[0] = h[1]
    best, at = np.inf, None
    for i in range(levels, len(h) + 1):
        ref, tail = h[:i].copy(), h[i:].sum()
        ref[np.flatnonzero(h[:i])[-1]] += tail
        level = np.arange(i) * levels // i
        used = h[:i] > 0
        mean = np.bincount(level, h[:i], levels) / np.maximum(np.bincount(level, used, levels), 1)
        q = np.where(used, mean[level], 0)
        p = ref[used] / ref.sum()
        d = (p * np.log2(p / (q[used] / q.sum()))).sum()
        if d <= best + 1e-9:
            best, at = min(best, d), i
    return at * width if at and at < len(h) else np.inf


def expected(method, samples, symmetric):
    """A range, or None where the answer is only bounded by its cost."""
    x = np.concatenate(samples).ravel().astype(np.float64)
    if method == 'minmax':
        return x.min(), x.max()
    if method == 'mean-minmax':
        return np.mean([s.min() for s in samples]), np.mean([s.max() for s in samples])
    if method == 'percentile':
        return np.quantile(x, 0.0005), np.quantile(x, 0.9995)
    if method == 'entropy':
        one_sided = (x.min() >= 0 or x.max() <= 0) and not symmetric
        t = kl_threshold(x, 256 if one_sided else 128)
        return max(x.min(), -t), min(x.max(), t)
    return None


def least_cost(method, x, symmetric):
    """The least cost over a grid of ranges of ours, and what may be lost against it."""
    weight = 3.0 if method == 'enhanced' else 1.0
    shares = [(a, a) for a in np.linspace(0.3, 1, 71)] if symmetric or x.min() >= 0 or x.max() <= 0 else [(a, b) for a in np.linspace(0.3, 1, 15) for b in np.linspace(0.3, 1, 15)]
    return min(cost(x, *encoding(x.min() * a, x.max() * b, symmetric), weight) for a, b in shares), weight


def stored(path):
    """Scale and zero point of the artifact's output."""
    g = onnx.load(path).graph
    made, constants = {o: n for n in g.node for o in n.output}, {i.name: onnx.numpy_helper.to_array(i) for i in g.initializer}
    n = made[g.output[0].name]
    return float(constants[n.input[1]]), int(constants[n.input[2]])


def ours(folder, samples, method, symmetric):
    settings, out = f'{OUT}/settings.yaml', f'{OUT}/q.onnx'
    with open(settings, 'w') as f:
        f.write(f'activations:\n  symmetry: {"symmetric" if symmetric else "asymmetric"}\ncalibration:\n  method: {method}\n  percentile: 99.9\n')
    status, said, talk = slipway('quantize', f'{OUT}/m.onnx', '-o', out, '--scheme', 'int8', '--settings', settings, '--calib', folder)
    assert status == 0, talk
    assert method == 'minmax' or f'{method}: ' in said, f'no evidence in: {said}'
    return stored(out)


def case(folder, samples, method, symmetric):
    scale, zero = ours(folder, samples, method, symmetric)
    want, x = expected(method, samples, symmetric), np.concatenate(samples).ravel().astype(np.float64)
    if want:
        s, z = encoding(*want, symmetric)
        near = 0.004 if method == 'percentile' else 1e-6
        return None if abs(scale - s) <= near * s and abs(zero - z) <= (method == 'percentile') else f'scale {scale}, zero {zero}; expected {s}, {z}'
    least, weight = least_cost(method, x, symmetric)
    got = cost(x, scale, zero, weight)
    allowed = {'mse': 1.01, 'enhanced': 1.15, 'octav': 1.1}[method]
    return None if got <= allowed * least else f'cost {got:.3f}, a plain search finds {least:.3f}'


# ---- ONNX Runtime's calibrators -----------------------------------------------------------------------------------------

def theirs(samples, method, **options):
    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = iter([{'x': 2 * samples[k]} for k in range(SAMPLES)])

        def get_next(self):
            return next(self.left, None)
    c = create_calibrator(f'{OUT}/m.onnx', ['Mul'], f'{OUT}/augmented.onnx', method, extra_options=options)
    c.collect_data(Reader())
    return [float(np.asarray(v).reshape(-1)[0]) for v in c.compute_data().data['y'].range_value]


def peer(folder, samples, method):
    scale, zero = ours(folder, samples, method, method != 'minmax')
    kind, options = {'minmax': (CalibrationMethod.MinMax, {}),
                     'percentile': (CalibrationMethod.Percentile, {'percentile': 99.9, 'num_bins': 8192, 'symmetric': True}),
                     'entropy': (CalibrationMethod.Entropy, {'num_bins': 2048, 'num_quantized_bins': 255, 'symmetric': True})}[method]
    s, _ = encoding(*theirs(samples, kind, **options), method != 'minmax')
    # percentile: theirs cuts the magnitudes, ours each side; entropy: theirs has coarser bins and rounds counts
    near = {'minmax': 1e-6, 'percentile': 0.01, 'entropy': 0.2}[method]
    print(f'# {method}: scale {scale:.6f}, ONNX Runtime {s:.6f}', flush=True)
    return None if abs(scale - s) <= near * s else f'scale {scale}, ONNX Runtime {s}'


# ---- findings before anything is run -----------------------------------------------------------------------------------

def preflight():
    """A channel of zeros, one of 1/1000 of the others, a rectifier that never opens, a bias too large: each is named."""
    w = rng.normal(size=(4, 2, 1, 1)).astype(np.float32)
    w[1], w[2] = 0, w[2] / 1000
    bias = np.array([-50, -50, -50, -50], np.float32)
    x, y = helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 2, 8, 8]), helper.make_tensor_value_info('y', TensorProto.FLOAT, [1, 4, 8, 8])
    nodes = [helper.make_node('Conv', ['x', 'w', 'b'], ['c'], 'conv'), helper.make_node('Relu', ['c'], ['r'], 'relu'), helper.make_node('Softmax', ['r'], ['y'], axis=1)]
    constants = [onnx.numpy_helper.from_array(a, n) for a, n in ((w, 'w'), (bias, 'b'))]
    onnx.save(helper.make_model(helper.make_graph(nodes, 'g', [x], [y], constants), opset_imports=[helper.make_opsetid('', 17)], ir_version=8), f'{OUT}/p.onnx')
    os.makedirs(f'{OUT}/p', exist_ok=True)
    np.save(f'{OUT}/p/0.npy', (rng.normal(size=(1, 2, 8, 8)) * 1e-6).astype(np.float32))
    status, _, talk = slipway('quantize', f'{OUT}/p.onnx', '-o', f'{OUT}/pq.onnx', '--scheme', 'int8', '--per-channel', 'no', '--calib', f'{OUT}/p')
    assert status == 0, talk
    wanted = ['"r" is zero in all of the calibration data', '"w" 1 of its output channels are all zero', '"w" one scale for channels whose ranges differ', 'scales are raised so that the bias fits']
    missing = [t for t in wanted if t not in talk]
    return f'not said: {missing} in: {talk}' if missing else None


model(f'{OUT}/m.onnx')
cases = [('findings name their tensors', preflight)]
for name in DATA:
    folder, samples = data(name)
    for method in METHODS:
        for symmetric in (False, True):
            cases.append((f'{method} of {name} data, {"symmetric" if symmetric else "asymmetric"}',
                          lambda f=folder, s=samples, m=method, y=symmetric: case(f, s, m, y)))
    for method in ('minmax', 'percentile', 'entropy'):
        if name in ('normal', 'laplace') or method == 'minmax':
            cases.append((f'{method} of {name} data beside ONNX Runtime', lambda f=folder, s=samples, m=method: peer(f, s, m)))
judge.each(cases)
