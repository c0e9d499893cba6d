"""`slipway check --target ethos-u` against Arm's compiler itself.

Vela compiles small generated networks of one operator (tflite_nets.py) and every model of models/tflite. An operator
that is still in the file it writes went to the CPU: we must have named it, with a cure, and nothing that it took.
SLIPWAY_LONG=1: five times as many networks.
"""
import json
import os
import sys

import judge
import tflite_nets
from ai_edge_litert import schema_py_generated as schema
from ethosu.vela import vela as compiler
from judge import OUT, SHARED, slipway

COUNT = 3000 if os.environ.get('SLIPWAY_LONG') else 600
NAMES = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith('_')}
# model or operator: why our answer differs from this version of Vela
KNOWN = {}


def read(path):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(open(path, 'rb').read(), 0))


def operators(path):
    """[(operator, name of its first result)] of a file, in order; the NPU's command streams left out."""
    m, out = read(path), []
    for g in m.subgraphs:
        for o in g.operators:
            c = m.operatorCodes[o.opcodeIndex]
            code = max(c.builtinCode, c.deprecatedBuiltinCode)
            if code == schema.BuiltinOperator.CUSTOM and c.customCode == b'ethos-u':
                continue
            name = g.tensors[o.outputs[0]].name if len(o.outputs) else b''
            out.append((NAMES[code], (name or b'').decode()))
    return out


def vela(path, folder):
    """Exit status of Vela on a file. A process of its own for each, since Vela 5.2.0 ends with a segmentation fault on
    some networks; forked, since the import takes longer than the compilation."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        status = 1
        try:
            status = compiler.main([path, '--output-dir', folder]) or 0
        except SystemExit as e:
            status = e.code or 0
        except BaseException:
            status = 1
        finally:
            os._exit(status if isinstance(status, int) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def named(path):
    """[(operator, result)] that we say go to the CPU, and whether each had a cure."""
    status, out, err = slipway('check', path, '--target', 'ethos-u', '--json')
    if status not in (0, 1) or not out:
        raise RuntimeError(err)
    groups = [v for v in json.loads(out)['violations'] if v['severity'] == 'error']
    assert all(v['cure'] and v['source'] for v in groups), 'a violation without cure or source'
    return sorted({(v['op'], at['result'] or '') for v in groups for at in v['at']}), groups


def compare(path):
    """(None or how the two differ, did we name any). A file that Vela refuses whole, or dies of, is one whose operators it does not take."""
    folder = os.path.join(OUT, 'vela')
    stem = os.path.splitext(os.path.basename(path))[0]
    status = vela(path, folder)
    cpu = operators(path if status else os.path.join(folder, stem + '_vela.tflite'))
    ours, groups = named(path)
    if status:
        return None if ours else f'Vela ends with {status}, and we name nothing', bool(ours)
    if all(name and name != '<unnamed>' for _, name in cpu):  # the second is Vela's own word
        missed, wrong = sorted(set(cpu) - set(ours)), sorted(set(ours) - set(cpu))
    else:  # tensors without names: by operator and count
        tally = lambda pairs: {op: sum(p[0] == op for p in pairs) for op, _ in pairs}
        a, b = tally(cpu), {}
        for g in groups:
            b[g['op']] = b.get(g['op'], 0) + len(g['at'])
        missed = [(op, n - b.get(op, 0)) for op, n in a.items() if n > b.get(op, 0)]
        wrong = [(op, n - a.get(op, 0)) for op, n in b.items() if n > a.get(op, 0)]
    if missed or wrong:
        rules = sorted({g['rule'] for g in groups if g['op'] in {w[0] for w in wrong}})
        return f'not named: {missed}; named though taken: {wrong} by {rules}', bool(ours)
    return None, bool(ours)


def generated():
    folder, bad, named_count = os.path.join(OUT, 'nets'), [], 0
    os.makedirs(folder, exist_ok=True)
    for net in tflite_nets.nets(20261128, COUNT):
        path = os.path.join(folder, net.name + '.tflite')
        with open(path, 'wb') as f:
            f.write(net.data)
        why, any_named = compare(path)
        os.remove(path)
        named_count += any_named
        if why and net.name not in KNOWN:
            bad.append(f'{net.name}: {why}')
    print(f'# {COUNT} networks, {named_count} of them named by us', flush=True)
    return f'{len(bad)} of {COUNT} differ: ' + ' | '.join(bad[:12]) if bad else None


def model(path):
    return lambda: None if os.path.basename(path) in KNOWN else compare(path)[0]


folder = os.path.join(SHARED, 'models', 'tflite')
cases = [(f'model/{f}', model(os.path.join(folder, f))) for f in sorted(os.listdir(folder))] if os.path.isdir(folder) else []
judge.each([(f'generated-{COUNT}', generated)] + cases)
