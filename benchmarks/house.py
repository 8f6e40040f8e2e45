"""Print numbers on the layout of the code: largest folder, circular imports, imports inside functions, lines, words.

    python benchmarks/house.py [--run CAMPAIGN_FILE]

Only the standard library is imported, and nothing is started, unless ``--run`` is given. Then `campaign run` is called
with a separate MongoDB on a free loopback port in a temporary folder, until it starts its worker processes. This counts
the project's files in which a function is called until then, and the changes of file for a reader who follows the
functions in the order of their first calls, each once. Functions that run during an import are not counted. ``make
metrics`` prints everything, for the quickstart, in less than a minute.

2026-11-30, before the layout was reworked: 59 modules in esnet/; 4 circles of 12, 9, 5 and 3 files; 332 imports inside
functions; for the quickstart 60 files, 346 functions and 147 changes of file until the workers start.
"""

import argparse
import inspect
import socket
import sys
import tempfile
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from import_graph import PACKAGES, circles, import_graph, modules_by_folder

ROOT = Path(__file__).resolve().parents[1]
_STARTS_WORKERS = ("launchers", "LocalWorkers.start")
"""Package and qualified name of the function that starts worker processes."""


def main() -> None:
    """Print a line for each number."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, metavar="CAMPAIGN_FILE", help="trace `campaign run` as well; default: off")
    campaign_file = parser.parse_args().run
    _print_layout()
    if campaign_file is not None:
        _print_run(campaign_file)


def _print_layout() -> None:
    graph = import_graph(ROOT)
    fullest, modules = next(iter(modules_by_folder(graph).items()))
    _print("modules in the fullest folder", modules, f"{fullest}/")
    found = circles(graph)
    without = circles(graph, typing_imports=False)
    _print("circles of files that import each other", len(found), _sizes(found))
    for members in found:
        print(f"    {len(members)}: {', '.join(map(str, members))}")
    _print("    without imports for type checkers", len(without), _sizes(without))
    inside = [found for imports in graph.values() for found in imports if found.in_function]
    _print("imports of our own modules inside functions", len(inside))
    source, tests = _lines(ROOT / path for path in graph), _lines((ROOT / "tests").rglob("*.py"))
    _print("lines of source", source, f"in {len(graph)} files of {', '.join(PACKAGES)}")
    _print("lines of tests", tests)
    _print("lines of tests for each line of source", f"{tests / source:.2f}")
    _print("words in README.md", len((ROOT / "README.md").read_text(encoding="utf-8").split()))


def _print(name: str, value: int | str, remark: str = "") -> None:
    print(f"{name:45s} {value:>7} {remark}".rstrip())


def _sizes(groups: list[list[Path]]) -> str:
    return f"of {', '.join(str(len(group)) for group in groups)} files" if groups else ""


def _lines(paths: Iterable[Path]) -> int:
    return sum(path.read_bytes().count(b"\n") for path in paths)


def _print_run(campaign_file: Path) -> None:
    functions = _called_until_workers_start(campaign_file)
    stops = [path for path, _ in groupby(Path(code.co_filename).relative_to(ROOT) for code in functions)]
    files = sorted(set(stops))
    _print("files on the way to the workers", len(files), f"campaign run {campaign_file}")
    print(f"    {', '.join(map(str, files))}")
    _print("functions on the way", len(functions))
    _print("changes of file on the way", len(stops) - 1, f"{len(stops) - len(files)} of them to a file met before")


def _called_until_workers_start(campaign_file: Path) -> list[CodeType]:
    """Return the project's functions that `campaign run` calls until it starts workers, in the order of first calls.

    Raises
    ------
    RuntimeError
        If the command ends without starting worker processes.
    """
    from campaign.cli.main import main as campaign
    from launchers.mongod import server as mongo

    called: dict[CodeType, None] = {}
    reached = False

    def on_event(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal reached
        code = frame.f_code
        if event != "call" or code in called or not _is_our_function(code) or _is_importing(frame):
            return
        called[code] = None
        if (Path(code.co_filename).relative_to(ROOT).parts[0], code.co_qualname) == _STARTS_WORKERS:
            reached = True
            raise KeyboardInterrupt  # like Ctrl-C; also ends this trace

    with tempfile.TemporaryDirectory(prefix="house-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        launchpad = _write_launchpad(folder)
        sys.argv = ["campaign", "run", str(campaign_file), "--workers", "1"]
        sys.argv += ["--launchpad", str(launchpad), "--directory", str(folder / "runs")]
        try:
            sys.setprofile(on_event)
            campaign()
        except SystemExit as end:
            if not reached:
                raise RuntimeError(f"`campaign run {campaign_file}` ended before its workers ({end})") from end
        finally:
            sys.setprofile(None)
            mongo.stop(mongo.default_data_dir(launchpad))
    return list(called)


def _is_our_function(code: CodeType) -> bool:
    """Return whether a code object is a function of the project, rather than a module or class body."""
    path = Path(code.co_filename)
    return bool(
        code.co_flags & inspect.CO_OPTIMIZED
        and path.is_relative_to(ROOT)
        and path.relative_to(ROOT).parts[0] in PACKAGES
    )


def _is_importing(frame: FrameType) -> bool:
    """Return whether a module of this project or another package is being imported."""
    caller = frame.f_back
    while caller is not None:
        if caller.f_code.co_name == "<module>" and caller.f_globals.get("__name__") != "__main__":
            return True
        caller = caller.f_back
    return False


def _write_launchpad(folder: Path) -> Path:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    path = folder / "my_launchpad.yaml"
    uri = f"mongodb://127.0.0.1:{port}/esnet_campaign?replicaSet=rs0"
    path.write_text(f"uri_mode: true\nhost: {uri}\nname: esnet_campaign\nstrm_lvl: WARNING\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
