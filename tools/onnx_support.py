#!/usr/bin/env python3
"""Write docs/onnx-support.md and tests/conformance/onnx_failing.txt from runs of onnx_cases.

    onnx_support.py RUNNER NODES_DIR DATA_DIR

NODES_DIR: what judges/onnx_node_tests.py made; DATA_DIR: backend/test/data of the Python package onnx.
"""
import collections
import os
import subprocess
import sys

import onnx

RANDOM = ("bernoulli", "random", "multinomial", "training_dropout")  # expected outputs differ from run to run
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def run(runner, folder):
    said = subprocess.run([runner, folder], stdout=subprocess.PIPE, text=True).stdout
    passed, failed = set(), {}
    for line in said.splitlines():
        if line.startswith("ok "):
            passed.add(line[3:])
        elif line.startswith("FAIL "):
            name, _, why = line[5:].partition(": ")
            failed[name] = why
    return passed, failed


def operator(folder, name):
    """The operator a node case tests: its last node's, or "expanded" for a function written out."""
    model = onnx.load(os.path.join(folder, name, "model.onnx"), load_external_data=False)
    last = model.graph.node[-1]
    if "_expanded" in name:
        return "(functions, expanded)"
    return f"{last.domain}.{last.op_type}" if last.domain else last.op_type


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    runner, nodes, data = sys.argv[1:]
    passed, failed = run(runner, nodes)
    table = collections.defaultdict(lambda: [0, 0])
    for name in sorted(passed | set(failed)):
        op = operator(nodes, name)
        table[op][0] += name in passed
        table[op][1] += 1
    suites = [("node", passed, failed)]
    for suite in ("simple", "pytorch-operator", "pytorch-converted"):
        suites.append((suite, *run(runner, os.path.join(data, suite))))
    with open(os.path.join(ROOT, "docs", "onnx-support.md"), "w") as f:
        f.write("# ONNX operators\n\n")
        f.write(f"Made by `tools/onnx_support.py` with onnx {onnx.__version__}; every case runs in the engine `ref`\n"
                "within the suite's own tolerance. `tests/judges/10_onnx_nodes.sh` holds these figures.\n\n")
        f.write("| suite | cases | passed |\n|---|---:|---:|\n")
        for suite, ok, bad in suites:
            f.write(f"| {suite} | {len(ok) + len(bad)} | {len(ok)} |\n")
        f.write("\n## Operators\n\n| operator | cases passed | of |\n|---|---:|---:|\n")
        for op in sorted(table):
            f.write(f"| {op} | {table[op][0]} | {table[op][1]} |\n")
        f.write("\n## Failing cases\n\n")
        for suite, _, bad in suites:
            for name in sorted(bad):
                f.write(f"- {suite}/{name}: {bad[name]}\n")
    with open(os.path.join(ROOT, "tests", "conformance", "onnx_failing.txt"), "w") as f:
        f.write("# Made by tools/onnx_support.py: cases of ONNX's suites that fail, and why (docs/onnx-support.md).\n"
                "# A ~ marks random operators: such a case may pass by chance.\n")
        for suite, ok, bad in suites:
            for name in sorted(set(bad) | {n for n in ok if any(r in n for r in RANDOM)}):
                f.write(("~" if any(r in name for r in RANDOM) else "") + name + "\n")


if __name__ == "__main__":
    main()
