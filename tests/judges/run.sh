#!/usr/bin/env bash
# run.sh SLIPWAY [NAME...] - run the judges: every tests/judges/NN_name.{sh,py}, or those named.
#
# A judge is called with
#   SLIPWAY  the program under test         SHARED  the folder with models, data, judges' scripts
#   PY       a Python with every judge      OUT     an empty folder of its own
# and prints a line for each case: "ok NAME", "FAIL NAME: why" or "skip NAME: why".
# tests/judges/judge.py has what Python judges share.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
. "$root/tools/house.sh"
SLIPWAY=$(realpath "${1:?usage: run.sh SLIPWAY [NAME...]}")
shift
SHARED=$(realpath -m "${SLIPWAY_SHARED:-$root/../shared}")
wishes=$SHARED/judges/requirements.txt
if [ ! -f "$wishes" ]; then
    echo "skip judges: no $wishes"
    exit 0
fi

# One environment for each list of requirements. The marker is written last.
env=${XDG_CACHE_HOME:-~/.cache}/slipway/judges-$(sha256sum "$wishes" | cut -c1-12)
complete() {
    [ -f "$env/complete" ] && return 0
    [ -x "$env/bin/python" ] || return 1
    "$env/bin/python" - "$wishes" <<'PYTHON' && touch "$env/complete"
import importlib.metadata, sys
for line in open(sys.argv[1]):
    line = line.split('#')[0].strip()
    if line:
        name, _, version = line.partition('==')
        if not importlib.metadata.version(name).startswith(version):
            sys.exit(1)
PYTHON
}
make_environment() {
    bring_in "$needs_to_judge"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed"; return 1; }
    rm -rf "$env"
    say "installing the judges in $env (several minutes, once)"
    python3 -m venv "$env" && "$env/bin/pip" install -q --no-input -r "$wishes" && complete
}
if ! complete 2>/dev/null && ! make_environment >&2; then
    echo "FAIL judges: could not make $env"
    exit 0
fi

PY=$env/bin/python
PYTHONPATH=$here
# The judges share two cores with nobody: let none of them start a thread for each core it dreams of.
OMP_NUM_THREADS=2
export SLIPWAY SHARED PY PYTHONPATH OMP_NUM_THREADS PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

[ $# -gt 0 ] || set -- $(cd "$here" && ls [0-9]*.sh [0-9]*.py 2>/dev/null | sort)
for name; do
    export OUT=$work/${name%.*}
    mkdir "$OUT"
    case $name in
    *.py) set -- "$PY" "$here/$name" ;;
    *) set -- bash "$here/$name" ;;
    esac
    start=$SECONDS
    echo "# $name"
    timeout 900 "$@" </dev/null >"$work/said" 2>"$work/talk"
    status=$?
    cat "$work/said"
    if [ $status -ne 0 ] && ! grep -q '^FAIL ' "$work/said"; then
        tail -n 20 "$work/talk"
        echo "FAIL $name: ended with $status before it said why"
    elif ! grep -qE '^(ok|FAIL|skip) ' "$work/said"; then
        echo "FAIL $name: reported no case"
    fi
    echo "# $name: $((SECONDS - start)) s"
    rm -rf "$OUT"
done
