#!/bin/sh
# Prints the path of a Python 3.11, 3.12 or 3.13 of this machine; exit code 1 where there is none.
# 3.11 is preferred: it is the one that the whole test suite is run with.
# The variable PYTHON names another; then that one is taken, or refused by name.

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    case "$(version_of "$PYTHON")" in
        3.11 | 3.12 | 3.13) command -v "$PYTHON" && exit 0 ;;
        "") echo "PYTHON=$PYTHON does not run; give the path of a Python 3.11, 3.12 or 3.13" >&2 ;;
        *) echo "PYTHON=$PYTHON is Python $(version_of "$PYTHON"); it must be 3.11, 3.12 or 3.13" >&2 ;;
    esac
    exit 2
fi
# The system's own last: another program of the same name may hide it on PATH.
for folder in "" /usr/bin/; do
    for wanted in 3.11 3.12 3.13; do
        for candidate in "${folder}python3" "${folder}python$wanted"; do
            if [ "$(version_of "$candidate")" = "$wanted" ]; then
                command -v "$candidate"
                exit 0
            fi
        done
    done
done
exit 1
