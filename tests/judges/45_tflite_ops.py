#!/usr/bin/env python3
"""ONNX's operator cases as TFLite: LiteRT's reference kernels load what `convert` writes and agree with the case.

Cases of float and integer tensors with static shapes. An operand that only says how (axes, sizes, weights ...) is an input
in the cases and made an initializer here: every input but the first. What is refused is counted by its reason; what is
converted must load, run and agree.
"""
import collections
import concurrent.futures
import glob
import os
import re
import subprocess
import sys

import numpy as np
import onnx
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from onnx import numpy_helper

import judge
from judge import OUT, SHARED, check, slipway

FLOOR = int(os.environ.get('SLIPWAY_TFLITE_OPS_FLOOR', 850))
TYPES = {np.dtype(t) for t in ('float32', 'int32', 'int64', 'bool', 'uint8', 'int8')}
# where LiteRT and the case part, and why: a case that agrees must be taken off
KNOWN = {name: why for why, names in (
    ("LiteRT's reference resolver has no such kernel", '''
        test_ceil test_ceil_example test_elu_default test_round'''),
    ("LiteRT's ADD keeps within the finite numbers: a masked score of -inf becomes the least of them", '''
        test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal_expanded
        test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal_expanded'''),
) for name in names.split()}


def tensor(path):
    t = onnx.TensorProto()
    with open(path, 'rb') as f:
        t.ParseFromString(f.read())
    return numpy_helper.to_array(t)


def prepare(case):
    """A model with constants for every input but the first; None when it is not for TFLite."""
    model = onnx.load(os.path.join(case, 'model.onnx'))
    inputs, outputs = model.graph.input, model.graph.output
    if any(v.type.WhichOneof('value') != 'tensor_type' for v in list(inputs) + list(outputs)) or not inputs:
        return None
    try:
        x = [tensor(f'{case}/test_data_set_0/input_{i}.pb') for i in range(len(inputs))]
        y = [tensor(f'{case}/test_data_set_0/output_{i}.pb') for i in range(len(outputs))]
    except (OSError, TypeError, ValueError):
        return None
    if any(a.dtype not in TYPES or a.size == 0 for a in x + y) or x[0].ndim == 0:
        return None
    constants = [numpy_helper.from_array(np.asarray(a), v.name) for a, v in zip(x[1:], list(inputs)[1:])]
    del inputs[1:]
    model.graph.initializer.extend(constants)
    path = os.path.join(OUT, os.path.basename(case))
    onnx.save(model, path + '.onnx')
    return path, x[0], y


def own_cases(folder):
    """float32 and run-time indices where the suite has float64 or constants only; onnx.reference says what is right."""
    from onnx import TensorProto as T, helper as h
    from onnx.reference import ReferenceEvaluator
    rng = np.random.default_rng(4)

    def real(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def case(name, op, operands, first=0, **attributes):
        names = [f'x{i}' for i in range(len(operands))]
        order = names[first:first + 1] + names[:first] + names[first + 1:]  # the first graph input stays an input
        infos = {n: h.make_tensor_value_info(n, h.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in zip(names, operands)}
        graph = h.make_graph([h.make_node(op, names, ['y'], **attributes)], name, [infos[n] for n in order],
                             [h.make_tensor_value_info('y', T.FLOAT, None)])
        model = h.make_model(graph, opset_imports=[h.make_opsetid('', 26 if op == 'CumProd' else 20)])
        want = ReferenceEvaluator(model).run(None, dict(zip(names, operands)))
        graph.output[0].CopyFrom(h.make_tensor_value_info('y', T.FLOAT, want[0].shape))
        model.graph.CopyFrom(graph)
        data = os.path.join(folder, f'own_{name}', 'test_data_set_0')
        os.makedirs(data)
        onnx.save(model, os.path.join(folder, f'own_{name}', 'model.onnx'))
        values = dict(zip(names, operands))
        for what, arrays in (('input', [values[n] for n in order]), ('output', want)):
            for i, a in enumerate(arrays):
                with open(f'{data}/{what}_{i}.pb', 'wb') as f:
                    f.write(numpy_helper.from_array(np.asarray(a)).SerializeToString())

    for i, (equation, *shapes) in enumerate((
            ('bij,bjk->bik', (2, 3, 4), (2, 4, 5)), ('bhqd,bhkd->bhqk', (2, 2, 3, 4), (2, 2, 5, 4)), ('ij,jk->ki', (3, 4), (4, 2)),
            ('bqhd,bkhd->bhqk', (2, 3, 2, 4), (2, 5, 2, 4)), ('...ij,jk->...ik', (2, 3, 4), (4, 5)), ('ij,ij->', (3, 4), (3, 4)),
            ('i,j->ij', (3,), (4,)), ('ijk->kji', (2, 3, 4)), ('ijk->ik', (2, 3, 4)), ('bij,bjk,bkl->bil', (2, 3, 4), (2, 4, 5), (2, 5, 2)),
            ('abc,cd->abd', (2, 3, 4), (4, 5)), ('nchw,nc->nhw', (2, 3, 4, 5), (2, 3)), ('ij,kl->il', (2, 3), (4, 5)), ('ij,jk', (3, 4), (4, 2)))):
        case(f'einsum_{i}', 'Einsum', [real(*s) for s in shapes], equation=equation)
    at = rng.integers(-4, 4, (3, 6)).astype(np.int64)
    case('gather_elements_computed', 'GatherElements', [real(4, 6), at], first=1, axis=0)
    at = np.stack([rng.permutation(4)[:3] for _ in range(6)], 1).astype(np.int64)
    case('scatter_elements_computed', 'ScatterElements', [real(4, 6), at, real(3, 6)], first=1, axis=0)
    case('scatter_elements_add', 'ScatterElements', [real(4, 6), at % 2 - 2, real(3, 6)], first=1, axis=0, reduction='add')
    at = np.array([[3], [0], [-2]], np.int64)
    case('scatter_nd_computed', 'ScatterND', [real(4, 3), at, real(3, 3)], first=1)
    case('scatter_nd_updates', 'ScatterND', [real(4, 3), at, real(3, 3)], first=2)
    case('scatter_nd_add', 'ScatterND', [real(4, 3), at % 2, real(3, 3)], first=2, reduction='add')
    case('trilu', 'Trilu', [real(2, 4, 5), np.array(-1, np.int64)], upper=0)
    for exclusive in (0, 1):
        for reverse in (0, 1):
            case(f'cum_prod_{exclusive}{reverse}', 'CumProd', [real(3, 5), np.array(-1, np.int32)], exclusive=exclusive, reverse=reverse)
    grid = (rng.random((2, 4, 5, 2)) * 3 - 1.5).astype(np.float32)
    for mode in ('linear', 'nearest'):
        for padding in ('zeros', 'border', 'reflection'):
            for align in (0, 1):
                for first in (0, 1):
                    case(f'grid_sample_{mode}_{padding}_{align}_{first}', 'GridSample', [real(2, 3, 6, 7), grid], first=first,
                         mode=mode, padding_mode=padding, align_corners=align)


def convert(case):
    prepared = prepare(case)
    if not prepared:
        return os.path.basename(case), None, None
    path = prepared[0]
    return os.path.basename(case), prepared, slipway('convert', path + '.onnx', '--to', 'tflite', '-o', path + '.tflite')


def disagrees(path, x, want):
    net = Interpreter(model_path=path + '.tflite', experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    net.allocate_tensors()
    for d in net.get_input_details():  # an input that became a shape, or is not read, may be gone
        net.set_tensor(d['index'], x.astype(d['dtype']).reshape(d['shape']))
    net.invoke()
    got = [net.get_tensor(d['index']) for d in net.get_output_details()]
    if len(got) != len(want):
        return f'{len(got)} outputs, expected {len(want)}'
    for a, e in zip(got, want):
        if a.size != e.size or [d for d in a.shape if d != 1] != [d for d in e.shape if d != 1]:
            return f'{a.shape}, expected {e.shape}'
        a = a.reshape(e.shape)
        if e.dtype.kind == 'f':
            scale = max(1.0, float(np.abs(e[np.isfinite(e)]).max(initial=0)))
            if not np.allclose(a, e, rtol=1e-3, atol=1e-5 * scale, equal_nan=True):
                return f'apart by {np.abs(a - e).max()}'
        elif not (a.astype(np.int64) == e.astype(np.int64)).all():
            return 'integers differ'
    return None


def ask(paths):
    """Runs the interpreter over many files; starts again after one that kills it."""
    answers = {}
    while paths:
        done = subprocess.run([sys.executable, __file__, '--ask', *paths], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith('= ')]
        for path, line in zip(paths, lines):
            answers[path] = line[2:]
        if len(lines) < len(paths):
            answers[paths[len(lines)]] = f'the interpreter ended with {done.returncode}'
        paths = paths[len(lines) + 1:]
    return answers


def main():
    nodes = os.path.join(OUT, 'nodes')
    subprocess.run([sys.executable, os.path.join(SHARED, 'judges', 'onnx_node_tests.py'), nodes], check=True, stdout=subprocess.DEVNULL)
    own_cases(nodes)
    refused, paths = collections.Counter(), {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, prepared, said in pool.map(convert, sorted(glob.glob(nodes + '/*'))):
            if not prepared:
                refused['not of static TFLite tensors'] += 1
            elif said[0]:
                code = re.search(r'\[([a-z_]+)\]', said[2])
                refused[f'exit {said[0]} {code.group(1) if code else ""}'] += 1
                if said[0] > 3 or said[0] < 0:
                    judge.fail(f'tflite-ops/{name}', said[2][-200:])
            else:
                path, x, want = prepared
                np.savez(path + '.npz', x=x, **{f'y{i}': a for i, a in enumerate(want)})
                paths[path] = name
    agreeing = 0
    for path, answer in ask(list(paths)).items():
        name = paths[path]
        agreeing += answer == 'agrees'
        if answer != 'agrees' and name not in KNOWN:
            judge.fail(f'tflite-ops/{name}', answer)
        elif answer == 'agrees' and name in KNOWN:
            judge.fail(f'tflite-ops/{name}', 'agrees, but is listed as known')
    print(f'# {len(paths)} converted, {agreeing} agree, {len(KNOWN)} known to part; refused:', dict(refused))
    check('tflite-ops-agreeing', agreeing >= FLOOR, f'{agreeing}, the floor is {FLOOR}')


if sys.argv[1:2] == ['--ask']:
    for path in sys.argv[2:]:
        data = np.load(path + '.npz')
        try:
            answer = disagrees(path, data['x'], [data[f'y{i}'] for i in range(len(data.files) - 1)])
        except Exception as error:  # the runtime refused the file: that is an answer
            answer = f'{type(error).__name__}: {error}'
        print('=', ' '.join((answer or 'agrees').split())[:300], flush=True)
else:
    main()
