"""Opset conversion: real models and ONNX's operator cases said at other opsets mean the same.

A converted model must pass the checker at its opset and give the same results in ONNX Runtime. Where it is refused, the
refusal must name the operator, the opset and the least opset that can say the model, at which it must then be written;
and onnx.version_converter must not be able to do better: a copy of its making that passes the checker and gives the
right results where we refuse is a failure.
"""
import glob
import os
import re
import warnings

import judge
import numpy as np
import onnx
import onnxruntime
from judge import OUT, SHARED, fail, ok, slipway
from onnx import numpy_helper, version_converter
from onnx.reference import ReferenceEvaluator
from onnx.backend.test.loader import load_model_tests

NEGATIVE = {'qonnx_tfc_2w2a', 'sklearn_lr_zipmap'}
NO_RUNTIME = {'attention_past_u8s8'}  # saturates in ONNX Runtime on CPUs without VNNI (models.md)
# The checker's inference before opset 22 counts a last window that starts in the padding; ONNX Runtime does not.
CEIL = {'test_averagepool_2d_ceil_last_window_starts_on_pad', 'test_maxpool_2d_ceil_output_size_reduce_by_one'}
OPSETS = [7, 9, 10, 11, 12, 13, 15, 17, 18, 20, 21, 22]
STRIDE = int(os.environ.get('STRIDE', 5))  # of the operator cases, one in so many; each at four opsets in turn
FAILING = {line.strip().lstrip('~') for line in open(os.path.join(os.path.dirname(__file__), '../conformance/onnx_failing.txt'))
           if not line.startswith('#')}
warnings.filterwarnings('ignore')
onnxruntime.set_default_logger_severity(4)


def session(source):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(source, options)


def apart(a, b, rtol, atol):
    if a.shape != b.shape or a.dtype != b.dtype:
        return f'{a.dtype}{list(a.shape)}, not {b.dtype}{list(b.shape)}'
    if a.dtype.kind in 'SUO':
        return None if (a.astype(str) == b.astype(str)).all() else 'other strings'
    if a.dtype.kind != 'f':
        return None if (a == b).all() else 'other elements'
    with np.errstate(all='ignore'):
        near = np.isclose(a.astype(np.float64), b.astype(np.float64), rtol=rtol, atol=atol, equal_nan=True)
    return None if near.all() else f'apart by {np.nanmax(np.abs(a.astype(np.float64) - b.astype(np.float64)))}'


def differs(got, want, rtol, atol):
    if len(got) != len(want):
        return f'{len(got)} results, not {len(want)}'
    for k, (a, b) in enumerate(zip(got, want)):
        if isinstance(a, list) or isinstance(b, list) or a is None or b is None:
            continue
        why = apart(np.asarray(a), np.asarray(b), rtol, atol)
        if why:
            return f'result {k}: {why}'
    return None


def theirs(model, opset, feed, want, rtol, atol):
    """Could onnx.version_converter do it, with the right results?"""
    try:
        copy = version_converter.convert_version(model, opset)
        onnx.checker.check_model(copy, full_check=True)
        return differs(session(copy.SerializeToString()).run(None, feed), want, rtol, atol) is None
    except Exception:
        return False


def refused(path, model, opset, said, feed, want, rtol, atol):
    least = re.search(r'opset (\d+) is the least', said)
    if 'error' not in said or f'opset {opset}' not in said:
        return f'refused without a reason: {said[:300]}'
    if theirs(model, opset, feed, want, rtol, atol):
        return f'refused, but onnx.version_converter can: {said[:300]}'
    if not least:
        return f'the refusal names no least opset: {said[:300]}'
    again = f'{OUT}/least.onnx'
    status, _, said = slipway('convert', path, '-o', again, '--opset', least[1])
    return f'refused at {opset}, and at {least[1]} too: {said[:200]}' if status else None


def one(path, model, opset, feed, want, rtol, atol):
    """None: converted and the same; False: rightly refused; text: why it is wrong."""
    out = f'{OUT}/out.onnx'
    status, _, said = slipway('convert', path, '-o', out, '--opset', opset)
    if status:
        return refused(path, model, opset, said, feed, want, rtol, atol) or False
    copy = onnx.load(out)
    if next(d.version for d in copy.opset_import if not d.domain) != opset:
        return 'another opset was written'
    try:
        onnx.checker.check_model(copy, full_check=True)
    except Exception as error:
        return f'the checker says: {error}'
    try:
        run = session(out)
        why = differs(run.run(None, {i.name: feed[i.name] for i in run.get_inputs() if i.name in feed}), want, rtol, atol)
    except Exception as error:
        why = f'ONNX Runtime says: {error}'
    return why and not_theirs(why, model, copy, feed, want, rtol, atol)


def not_theirs(why, model, copy, feed, want, rtol, atol):
    """ONNX Runtime may have no kernel, or one that is wrong: then the standard's own evaluator judges the copy, or, where it
    cannot, ONNX Runtime's own result on the model as it was."""
    try:
        if differs(ReferenceEvaluator(copy).run(None, feed), want, rtol, atol) is None:
            return None
    except Exception:
        pass
    try:
        theirs = session(model.SerializeToString()).run(None, feed)
        same = differs(session(copy.SerializeToString()).run(None, feed), theirs, rtol, atol) is None
        return None if same and differs(theirs, want, rtol, atol) else why
    except Exception as error:
        return None if str(error)[-60:] in why or 'NOT_IMPLEMENTED' in why else why


# -- real models ----------------------------------------------------------------------------------
def real(path):
    name = os.path.basename(path)[:-5]
    model = onnx.load(path)
    del model.graph.value_info[:]  # stale in some, which we ignore and ONNX Runtime does not
    run = session(model.SerializeToString())
    golden = f'{SHARED}/models/golden/{name}/test_data_set_0'
    rng = np.random.default_rng(7)
    feed = {}
    for i, x in enumerate(run.get_inputs()):
        data = f'{golden}/input_{i}.pb'
        shape = [d if isinstance(d, int) else 1 for d in x.shape]
        feed[x.name] = numpy_helper.to_array(onnx.load_tensor(data)) if os.path.exists(data) else rng.standard_normal(shape).astype(np.float32)
    want = run.run(None, feed)
    done, no = [], []
    for opset in OPSETS:
        why = one(path, model, opset, feed, want, 1e-3, 1e-4 * max([1.0] + [float(np.ptp(w)) for w in want if w.size and w.dtype.kind == 'f']))
        if why:
            fail(f'opset-{name}-{opset}', why)
        else:
            (no if why is False else done).append(str(opset))
    ok(f'opset-{name}: written at {",".join(done)}' + (f'; refused at {",".join(no)}' if no else ''))


for path in sorted(glob.glob(f'{SHARED}/models/onnx/*.onnx')):
    if os.path.basename(path)[:-5] not in NEGATIVE | NO_RUNTIME:
        try:
            real(path)
        except Exception as error:
            fail(f'opset-{os.path.basename(path)}', f'{type(error).__name__}: {error}')


# -- operator cases ---------------------------------------------------------------------------------
def usable(case):
    data = [x for pair in case.data_sets or [] for side in pair for x in side]
    return (case.model and case.name not in FAILING and case.name not in CEIL and '_expanded' not in case.name and data and
            all(isinstance(x, np.ndarray) and x.dtype.kind in 'fiub' for x in data) and
            all(n.domain == '' for n in case.model.graph.node))


cases = sorted((c for c in load_model_tests(kind='node') if usable(c)), key=lambda c: c.name)
written = refusals = 0
for number, case in enumerate(cases[::STRIDE]):
    feed = dict(zip([i.name for i in case.model.graph.input], case.data_sets[0][0]))
    want = [np.asarray(x) for x in case.data_sets[0][1]]
    scale = max([1.0] + [float(np.nanmax(np.abs(x[np.isfinite(x)]))) for x in want if x.dtype.kind == 'f' and np.isfinite(x).any()])
    path = f'{OUT}/case.onnx'
    onnx.save(case.model, path)
    for opset in OPSETS[number % 3::3]:
        try:
            why = one(path, case.model, opset, feed, want, max(case.rtol, 1e-3), max(case.atol, 1e-5 * scale))
        except Exception as error:
            why = f'{type(error).__name__}: {error}'
        if why:
            fail(f'opset-{case.name}-{opset}', why)
        else:
            refusals += why is False
            written += why is None
judge.check('opset-node-cases', written > 400, f'only {written} were written')
print(f'# {written} conversions of operator cases agree, {refusals} are rightly refused')
