#!/bin/sh
# Makes .venv. Called by make; safe to call at any time.
#   setup.sh run     what a campaign needs: GPAW, MongoDB, TensorFlow (CPU), Ray
#   setup.sh all     that, tuning, classical models, the Materials Project's client, and what the tests need
# What is done is skipped: .venv/.setup-run and .venv/.setup-all hold a hash of all that the environment follows from.
# First time: 3 to 5 minutes on 2 cores (November 2026); then well under a second.
set -eu

cd "$(dirname "$0")/../.."
install=launchers/install
level=${1:-all}
case $level in
    run) extras="esnet,gpaw,embedded,report,parquet" packages=170 size="3 GB" ;;
    all) extras="esnet,gpaw,embedded,report,parquet,tune,analysis,forcefields,graph,mp,docs,dev" packages=280 size="5 GB" ;;
    *)
        echo "[setup] setup.sh $level: must be run or all" >&2
        exit 1
        ;;
esac
log=.venv/setup.log

say() { echo "[setup] $*"; }

fail() {
    echo "[setup] $*" >&2
    exit 1
}

hash_with() { # a Python: hash of what the environment follows from, its version included
    "$1" - pyproject.toml $install/* <<'PYTHON'
import hashlib, os, platform, sys

digest = hashlib.sha256(f"{platform.python_version()} {os.getcwd()}".encode())
for name in sys.argv[1:]:
    if os.path.isfile(name):
        digest.update(name.encode() + open(name, "rb").read())
print(digest.hexdigest())
PYTHON
}

python=.venv/bin/python
[ -z "${PYTHON:-}" ] || python=$(sh $install/find_python.sh) || exit 1
for stamp in .venv/.setup-all .venv/.setup-$level; do # who has all has what a campaign needs
    if [ -f $stamp ] && [ -x .venv/bin/python ] && [ "$(hash_with "$python" 2>/dev/null)" = "$(cat $stamp)" ]; then
        say "nothing to do: .venv is up to date"
        exit 0
    fi
done

status=0
python=$(sh $install/find_python.sh) || status=$?
[ $status -ne 2 ] || exit 1
sh $install/system_packages.sh "$python"
[ "$level" = run ] || sh $install/test_packages.sh
[ -n "$python" ] || python=$(sh $install/find_python.sh)
version=$("$python" -c 'import platform; print(platform.python_version())')
say "Python $version ($python)"

# An environment of another Python, or one whose Python is gone, or that was moved here, is made anew.
if [ "$(.venv/bin/python -c 'import platform; print(platform.python_version())' 2>/dev/null)" != "$version" ] ||
    ! head -n 1 .venv/bin/pip 2>/dev/null | grep -qF "$(pwd -P)/.venv/" ||
    ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    [ ! -L .venv ] || fail ".venv is a link, and would be emptied where it leads to; remove the link (rm .venv) and try again"
    say "virtual environment: making .venv"
    "$python" -m venv --clear .venv || fail "python -m venv failed: see above"
else
    say "virtual environment: .venv is there"
fi
rm -f .venv/.setup-*

# What pip is doing, every 15 s, as its log has it. A process in the background ignores Ctrl-C: it looks for this one.
watch_pip() { # lines of the log before this call of pip
    passed=0
    while sleep "${SETUP_WATCH_S:-15}" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        passed=$((passed + ${SETUP_WATCH_S:-15}))
        lines=$(tail -n "+$(($1 + 1))" $log)
        fetched=$(echo "$lines" | grep -c '^Collecting ') || true # none yet
        case $lines in
            *"Installing collected packages"*) what="everything fetched and built; writing it into .venv, the last step (1 to 2 minutes)" ;;
            *"Building wheels for collected"*) what="everything fetched; building GPAW (1 minute), then writing into .venv (1 to 2 minutes)" ;;
            *) what="$fetched of about $packages packages fetched; then building GPAW and writing into .venv (2 to 3 minutes)" ;;
        esac
        say "  after $passed s: $what"
    done
}

# One pip call for each step, its output in a file: everything can be looked up there.
pip_install() {
    before=$(wc -l <$log)
    watch_pip "$before" &
    watcher=$!
    status=0
    GPAW_CONFIG="$PWD/$install/siteconfig.py" .venv/bin/python -m pip install \
        --no-input --disable-pip-version-check --progress-bar off "$@" </dev/null >>$log 2>&1 || status=$?
    kill $watcher 2>/dev/null || true
    wait $watcher 2>/dev/null || true
    [ $status -eq 0 ] || {
        tail -n 30 $log >&2
        fail "pip could not install $*: its last lines are above, all of them in $log"
    }
}

: >$log
say "Python packages: installing [$extras], about $packages of them, $size: 3 to 5 minutes (pip's own lines: $log)"
pip_install "pip>=24.2"
# Only Ax needs torch. Asked for by its exact version and before the rest, pip takes a CPU build where it knows one.
[ "$level" = run ] || pip_install torch==2.13.0
pip_install -c $install/constraints.txt -e ".[$extras]"
.venv/bin/python -m pip check >>$log 2>&1 || say "note: pip check complains, see the end of $log"
.venv/bin/python -c 'import _gpaw' 2>>$log || fail "GPAW was built, and does not load: see the end of $log"
hash_with .venv/bin/python >.venv/.setup-$level
say "done: .venv is ready"
