"""What the judges written in Python share: the three kinds of line, and running the program."""
import os
import subprocess
import sys

SLIPWAY = os.environ['SLIPWAY']
SHARED = os.environ['SHARED']
OUT = os.environ['OUT']
failed = 0


def ok(name):
    print(f'ok {name}', flush=True)


def fail(name, why):
    global failed
    failed += 1
    print(f'FAIL {name}: {" ".join(str(why).split())}', flush=True)


def skip(name, why):
    print(f'skip {name}: {" ".join(str(why).split())}', flush=True)


def check(name, condition, why=''):
    ok(name) if condition else fail(name, why)
    return condition


def slipway(*words, timeout=300):
    """Run the program; returns (status, standard output, standard error)."""
    done = subprocess.run([SLIPWAY, *map(str, words)], stdin=subprocess.DEVNULL, timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, done.stderr


def each(cases):
    """Call each (name, function) of cases; an exception is a failure, not the end."""
    for name, function in cases:
        try:
            why = function()
            fail(name, why) if why else ok(name)
        except Exception as error:  # a judge of ours or its library broke: say so, go on
            fail(name, f'{type(error).__name__}: {error}')
    sys.exit(failed > 0)
