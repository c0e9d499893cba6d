"""Real models written back as ONNX: the checker, ONNX Runtime, the reference engine and the goldens agree."""
import glob
import os

import judge
import numpy as np
import onnx
import onnx.parser
import onnxruntime
from judge import OUT, SHARED, skip, slipway
from onnx import numpy_helper

NEGATIVE = {'qonnx_tfc_2w2a': 'Quant', 'sklearn_lr_zipmap': 'output_probability'}
# ONNX Runtime's u8*s8 product saturates on CPUs without VNNI: only the golden counts (models.md).
NO_RUNTIME = {'attention_past_u8s8'}
RANGE = 1e-5
onnxruntime.set_default_logger_severity(4)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    try:
        return onnxruntime.InferenceSession(path, options)
    except Exception:
        model = onnx.load(path)  # stale value_info, which we ignore, makes ONNX Runtime refuse
        del model.graph.value_info[:]
        return onnxruntime.InferenceSession(model.SerializeToString(), options)


def inputs_of(name, model):
    """Folder with data and the arrays in it, by input name."""
    initial = {i.name for i in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in initial]
    golden = f'{SHARED}/models/golden/{name}/test_data_set_0'
    if os.path.isdir(golden):
        return golden, {x.name: numpy_helper.to_array(onnx.load_tensor(f'{golden}/input_{i}.pb')) for i, x in enumerate(inputs)}
    folder = f'{OUT}/{name}_in'
    os.makedirs(folder, exist_ok=True)
    rng = np.random.default_rng(7)
    shape = [d.dim_value or 1 for d in inputs[0].type.tensor_type.shape.dim]
    x = rng.standard_normal(shape).astype(np.float32)
    np.save(f'{folder}/0.npy', x)
    return folder, {inputs[0].name: x}


def run_ref(model, data, where):
    status, _, said = slipway('run', model, '--inputs', data, '--out', where, '--engine', 'ref')
    if status:
        raise RuntimeError(f'run ended with {status}: {said[:300]}')


def result(where, output):
    safe = ''.join(c if c.isalnum() or c in '._-' else '_' for c in output)
    found = glob.glob(f'{glob.escape(where)}/Result_0/{glob.escape(safe)}.npy')
    if not found:
        raise RuntimeError(f'no {safe}.npy in {where}: {os.listdir(where + "/Result_0")}')
    return np.load(found[0])


def error(a, b):
    if a.size == 0 or a.dtype == bool:
        return float((a != b).any())
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max())


def golden_misses(name, outputs, values):
    """Elements outside rtol 1e-3, atol 1e-4 of the golden."""
    n = 0
    for i, o in enumerate(outputs):
        path = f'{SHARED}/models/golden/{name}/test_data_set_0/output_{i}.pb'
        want = numpy_helper.to_array(onnx.load_tensor(path))
        n += int((~np.isclose(values[i], want, rtol=1e-3, atol=1e-4, equal_nan=True)).sum())
    return n


def compare(name, path, new, model):
    data, feed = inputs_of(name, model)
    outputs = [o.name for o in model.graph.output]
    run_ref(path, data, f'{OUT}/{name}_a')
    run_ref(new, data, f'{OUT}/{name}_b')
    ref = [result(f'{OUT}/{name}_a', o) for o in outputs]
    again = [result(f'{OUT}/{name}_b', o) for o in outputs]
    theirs = [session(p).run(outputs, feed) if name not in NO_RUNTIME else None for p in (path, new)]
    for i, o in enumerate(outputs):
        spread = float(np.ptp(ref[i].astype(np.float64))) if ref[i].size else 0
        if error(again[i], ref[i]) > RANGE * spread:
            return f'{o}: ref differs by {error(again[i], ref[i])} between the model and its copy'
        if theirs[0] is None:
            continue
        own, ours = error(theirs[0][i], ref[i]), error(theirs[1][i], ref[i])
        if ours > max(RANGE * spread, 2 * own):
            return f'{o}: ONNX Runtime is {ours} from ref, {own} on the original, range {spread}'
    if os.path.isdir(f'{SHARED}/models/golden/{name}'):
        misses = golden_misses(name, outputs, ref)
        allowed = golden_misses(name, outputs, theirs[0]) if theirs[0] else 0
        if misses > allowed:  # where a golden's own rounding is at fault, ONNX Runtime misses it too
            return f'{misses} elements miss the golden, of ONNX Runtime {allowed}'
    return None


def one(path):
    name = os.path.basename(path)[:-5]
    new = f'{OUT}/{name}.onnx'
    status, _, said = slipway('convert', path, '-o', new)
    if name in NEGATIVE:
        return None if status == 3 and NEGATIVE[name] in said else f'ended with {status}: {said[:200]}'
    if status:
        return f'convert ended with {status}: {said[:300]}'
    onnx.checker.check_model(new, full_check=True)
    model, copy = onnx.load(path), onnx.load(new)
    initial = {i.name for i in model.graph.initializer}
    if [i.name for i in model.graph.input if i.name not in initial] != [i.name for i in copy.graph.input]:
        return 'the inputs have other names'
    if [o.name for o in model.graph.output] != [o.name for o in copy.graph.output]:
        return 'the outputs have other names'
    return compare(name, path, new, model)


def opsets(path):
    """Every opset from the source's to the newest of ONNX Runtime: checked, and run by it."""
    name = os.path.basename(path)[:-5]
    data, feed = inputs_of(name, onnx.load(path))
    want = session(path).run(None, feed)
    for opset in (13, 17, 18, 21, 23, 26):
        new = f'{OUT}/{name}_{opset}.onnx'
        status, _, said = slipway('convert', path, '-o', new, '--opset', opset)
        if status:
            return f'opset {opset} ended with {status}: {said[:300]}'
        onnx.checker.check_model(new, full_check=True)
        for a, b in zip(want, session(new).run(None, feed)):
            if error(a, b) > 1e-5 * max(float(np.ptp(a)), 1e-3):
                return f'opset {opset}: differs by {error(a, b)}'
    return None


FUNCTIONS = '''
<ir_version: 10, opset_import: ["" : 21, "my" : 1]>
agraph (float[3,4] x) => (float[3,4] y, float[3,4] z)
{
  t = my.outer <slope: float = 0.3> (x)
  y = my.inner (t)
  z = my.opt (x)
}
<domain: "my", opset_import: ["" : 21, "my" : 1]>
outer <slope> (x) => (y) { x1 = my.inner <a: float = @slope> (x)  y = Add (x1, x) }
<domain: "my", opset_import: ["" : 17]>
inner <a: float = 0.5> (x) => (y) { y = LeakyRelu <alpha: float = @a> (x) }
<domain: "my", opset_import: ["" : 17]>
opt (x, lo) => (y) { y = Clip (x, lo) }
'''


def functions():
    """Functions in functions, attributes passed on or defaulted, an operand not given."""
    path = f'{OUT}/functions.onnx'
    onnx.save(onnx.parser.parse_model(FUNCTIONS), path)
    data, feed = inputs_of('functions', onnx.load(path))
    run_ref(path, data, f'{OUT}/functions_out')
    for name, want in zip('yz', session(path).run(['y', 'z'], feed)):
        if error(result(f'{OUT}/functions_out', name), want) > 1e-6:
            return f'{name} differs'
    return None


models = sorted(glob.glob(f'{SHARED}/models/onnx/*.onnx'))
if not models:
    skip('onnx-models', 'no models')
cases = [(f'onnx-{os.path.basename(m)[:-5]}', lambda m=m: one(m)) for m in models]
if models:
    cases += [(f'onnx-opsets-{n}', lambda n=n: opsets(f'{SHARED}/models/onnx/{n}.onnx'))
              for n in ('ultraface_RFB-320', 'bert_toy', 'dtln_model_1', 'mnist-8')]
judge.each(cases + [('onnx-functions', functions)])
