"""Another user of this machine, who has no more than what every user has: for tests that run as root."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NOBODY = 65534
#: What a script imports must be loaded before: the interpreter may lie where only root can read.
_DROP = "import os; os.setgroups([]); os.setgid({user}); os.setuid({user})\n"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def as_second_user(imports: str, script: str, *arguments: str) -> str:
    """Run a Python script as another user, with nothing in its environment, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"{imports}\n{_DROP.format(user=_NOBODY)}{script}", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that every user may enter and read, as a home folder often is; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="project-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


def readable_texts(*folders: Path) -> str:
    """Return all that the second user can read below folders, and of the processes of this machine."""
    script = (
        "import sys, glob\n"
        "found = glob.glob('/proc/[0-9]*/cmdline') + glob.glob('/proc/[0-9]*/environ')\n"
        "for top in sys.argv[1:]:\n"
        "    found += [os.path.join(at, name) for at, _, names in os.walk(top) for name in names]\n"
        "for path in found:\n"
        "    try:\n"
        "        print(open(path, errors='replace').read())\n"
        "    except OSError:\n"
        "        pass\n"
    )
    return as_second_user("import os, glob", script, *map(str, folders))
