"""Goldens: outputs that an independent evaluator computed for real models, on its own inputs.

ONNX: every data set that came with or was made for a model, on the default engine and on ref. TFLite: float
files by tolerance on both engines; int8 files element for element on the default engine (engine int), because
tflite-micro's reference kernels made them.
"""
import glob
import os

import judge
import numpy as np
import onnx
from judge import OUT, SHARED, slipway
from onnx import numpy_helper

MODELS = f'{SHARED}/models'
# A net of quantise/dequantise pairs: a last-bit difference before a rounding is a whole step after it. ONNX
# Runtime itself is 25.6 dB from this golden, so it is held to arg-max and a floor; its upstream data set, which
# another runtime made, to arg-max (models.md).
SQNR_ONLY = {('mobilenet_v2_qdq_perchannel', 'test_data_set_0'): 25,
             ('mobilenet_v2_qdq_perchannel', 'upstream_test_data_set_0'): 15}
# Arm NN made this golden, a few steps from the reference kernels: LiteRT's own answer is the exact one.
NOT_EXACT = {'mobilenet_v1_0.25_128_quant.tflite': 6}
# A net whose every output is tiny is held to its largest element. ATOL_OF: ONNX Runtime, too, is 3.2e-4 from
# the golden of yolox_nano, which was computed in float32.
RTOL, ATOL = 1e-3, 1e-4
ATOL_OF = {'yolox_nano': 3e-4}


def run(model, where, engine, *data):
    options = ['--engine', engine] if engine else []
    status, _, said = slipway('run', model, *data, '--out', where, '--native-outputs', *options)
    if status:
        raise RuntimeError(f'run ended with {status}: {said[:300]}')


def results(where, names):
    found = glob.glob(f'{glob.escape(where)}/Result_0/*.npy')
    if len(names) == 1 and len(found) == 1:
        return [np.load(found[0])]
    return [np.load(f'{where}/Result_0/' + ''.join(c if c.isalnum() or c in '._-' else '_' for c in name) + '.npy')
            for name in names]


def sqnr(want, got):
    return 10 * np.log10((want.astype(np.float64) ** 2).sum() / max(((want - got).astype(np.float64) ** 2).sum(), 1e-300))


def differs(got, want, atol=ATOL):
    """None, or where and by how much two float answers differ."""
    if got.shape != want.shape:
        return f'shape {got.shape}, expected {want.shape}'
    if want.dtype.kind != 'f':
        return None if np.array_equal(got, want) else f'{(got != want).sum()} of {want.size} elements differ'
    if want.size == 0:
        return None
    largest = float(np.abs(want).max())
    error = np.abs(got.astype(np.float64) - want)
    allowed = min(atol, 0.01 * largest) + RTOL * np.abs(want)
    if (error <= allowed).all():
        return None
    at = np.unravel_index(np.argmax(error - allowed), error.shape)
    return f'{(error > allowed).sum()} of {want.size} elements, worst {got[at]} for {want[at]} at {at}'


def onnx_case(name, folder, engine):
    path = f'{MODELS}/onnx/{name}.onnx'
    where = f'{OUT}/{name}.{os.path.basename(folder)}.{engine}'
    run(path, where, engine, '--inputs', folder)
    names = [o.name for o in onnx.load(path, load_external_data=False).graph.output]
    for i, (n, got) in enumerate(zip(names, results(where, names))):
        file = f'{folder}/output_{i}.pb'
        if not os.path.exists(file):
            continue
        want = numpy_helper.to_array(onnx.load_tensor(file))
        least = SQNR_ONLY.get((name, os.path.basename(folder)))
        if least is not None:
            good = got.argmax() == want.argmax() and sqnr(want, got) >= least
            why = None if good else f'SQNR {sqnr(want, got):.1f} dB, arg-max {got.argmax()} for {want.argmax()}'
        else:
            why = differs(got, want, ATOL_OF.get(name, ATOL))
        if why:
            return f'{n}: {why}'
    return None


def output_names(path):
    from ai_edge_litert import schema_py_generated as schema
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(open(path, 'rb').read(), 0)).subgraphs[0]
    return [(graph.tensors[i].name or b'').decode() for i in graph.outputs]


def litert(path, inputs):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    net = Interpreter(model_path=path, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    net.allocate_tensors()
    for detail, x in zip(net.get_input_details(), inputs):
        net.set_tensor(detail['index'], x)
    net.invoke()
    return [net.get_tensor(o['index']) for o in net.get_output_details()]


def steps(got, want):
    return np.abs(got.astype(np.int64) - want).max()


def tflite_case(name, folder, engine):
    path = f'{MODELS}/tflite/{name}'
    where = f'{OUT}/{name}.{engine}'
    files = sorted(glob.glob(f'{folder}/input_*.npy'))
    run(path, where, engine, *[w for i, f in enumerate(files) for w in ('--input', f'{i}={f}')])
    wants = [np.load(f) for f in sorted(glob.glob(f'{folder}/output_*.npy'))]
    for i, (got, want) in enumerate(zip(results(where, output_names(path)), wants)):
        if name in NOT_EXACT:
            exact = litert(path, [np.load(f) for f in files])[i]
            if steps(got, want) > NOT_EXACT[name]:
                return f'output {i}: {steps(got, want)} steps from the golden'
            want = exact
        why = differs(got.reshape(want.shape) if got.size == want.size else got, want)
        if why:
            return f'output {i}: {why}'
    return None


cases = []
for folder in sorted(glob.glob(f'{MODELS}/golden/*')):
    name = os.path.basename(folder)
    if name.endswith('.tflite'):
        floats = np.load(f'{folder}/output_0.npy').dtype.kind == 'f'
        for engine in (None, 'ref') if floats else (None,):
            cases.append((f'{name} {engine or "default"}', lambda n=name, f=folder, e=engine: tflite_case(n, f, e)))
    elif os.path.exists(f'{MODELS}/onnx/{name}.onnx'):
        for data in sorted(glob.glob(f'{folder}/*test_data_set_*')):
            for engine in (None, 'ref'):
                cases.append((f'{name} {os.path.basename(data)} {engine or "default"}',
                              lambda n=name, f=data, e=engine: onnx_case(n, f, e)))
judge.each(cases)
