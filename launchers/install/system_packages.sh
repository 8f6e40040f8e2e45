#!/bin/sh
# Makes sure that what no pip brings is there: a C++ compiler and the libraries that GPAW is built on, Python's
# headers, and the library that the mongod inside the PyPI wheel is linked to.
# usage: system_packages.sh PYTHON (empty where there is none yet)
# Installs Debian's packages where it can (root and apt-get); elsewhere it says what to install by which means.
set -u

python=$1
compiler=${CXX:-g++}
missing=""
debian=""

say() { echo "[setup] $*"; }

need() { # what is missing, and the Debian package that has it
    missing="$missing${missing:+,} $1"
    debian="$debian $2"
}

search="${CONDA_PREFIX:+-I$CONDA_PREFIX/include -L$CONDA_PREFIX/lib}"

can_load() { # shared library
    "$python" -c 'import ctypes, sys; ctypes.CDLL(sys.argv[1])' "$1" 2>/dev/null
}

can_build() { # header, library
    printf '#include <%s>\nint main() { return 0; }\n' "$1" |
        $compiler $search -x c++ - "-l$2" -o /dev/null >/dev/null 2>&1
}

look() {
    missing=""
    debian=""
    if ! command -v "$compiler" >/dev/null 2>&1; then
        need "a C++ compiler ($compiler), libxc, OpenBLAS, FFTW" "g++ libxc-dev libopenblas-dev libfftw3-dev"
    else
        can_build xc.h xc || need libxc libxc-dev
        can_build cstdio openblas || need OpenBLAS libopenblas-dev
        can_build fftw3.h fftw3 || need FFTW libfftw3-dev
    fi
    if [ -z "$python" ]; then
        need "Python 3.11, 3.12 or 3.13" "python3 python3-venv python3-dev"
        need libcurl libcurl4
        return
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need "Python's module venv" "python$version-venv"
    "$python" -c 'import os, sysconfig, sys
sys.exit(not os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
        need "Python's headers" "python$version-dev"
    command -v mongod >/dev/null 2>&1 || can_load libcurl.so.4 || need libcurl libcurl4
}

other_means() {
    cat >&2 <<TEXT
[setup] missing:$missing
[setup] $1. Install these by one of the following, then call make again:
[setup]   Debian, Ubuntu, as root: apt-get install$debian
[setup]   Fedora, RHEL (with EPEL), as root: dnf install gcc-c++ libxc-devel openblas-devel fftw-devel libcurl python3.11-devel
[setup]   conda, no root needed: conda install -c conda-forge python=3.11 cxx-compiler libxc openblas fftw mongodb
[setup]     (and leave that environment active)
[setup]   a cluster: module load gcc libxc openblas fftw python (names differ: module avail)
TEXT
    exit 1
}

look
if [ -z "$missing" ]; then
    say "system packages: compiler and libraries are there"
    exit 0
fi
command -v apt-get >/dev/null 2>&1 || other_means "This machine has no apt-get"
[ "$(id -u)" -eq 0 ] || other_means "Only root may install Debian packages"
say "system packages: installing$debian"
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# A failing update is no reason to stop: the lists may be there.
apt-get update -q </dev/null >"$log" 2>&1
if ! apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 $debian </dev/null >>"$log" 2>&1; then
    tail -n 15 "$log" >&2
    other_means "apt-get could not install them (its last lines are above)"
fi
if [ -z "$python" ]; then
    python=$(sh "$(dirname "$0")/find_python.sh") || other_means "This system's own Python is too old or too new"
fi
look
[ -z "$missing" ] || other_means "apt-get installed its packages, and these still cannot be used"
