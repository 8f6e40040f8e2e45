"""The rules of the house that no linter knows: who imports whom, and that importing does no heavy work."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_lines import PROGRAMS, commands

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "campaign": {"campaign", "workflows", "esnet", "launchers"},
    "workflows": {"workflows", "esnet"},
    "esnet": {"esnet"},
    "launchers": {"launchers"},
}
HEAVY = {"tensorflow", "keras", "ray", "ax", "torch", "atomate2", "gpaw", "umap", "xgboost"}
SLOW_FOR_HELP = {"pymatgen", "fireworks", "jobflow", "maggma", "custodian", "emmet", "ase", "numpy", "scipy"} | {
    *("plotly", "itables", "matplotlib", "pandas", "jinja2", "starlette", "uvicorn", "sphinx", "pymongo", "h5py")
}
FILES = [path for room in MAY_IMPORT for path in sorted((ROOT / room).rglob("*.py"))]


@pytest.fixture(params=FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def source(request) -> tuple[Path, ast.Module]:
    return request.param, ast.parse(request.param.read_text(encoding="utf-8"))


def imported_names(node: ast.AST, package: str) -> list[str]:
    """Top-level names of an import statement; none for any other node."""
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [package if node.level else (node.module or "").split(".")[0]]
    return []


def is_type_checking(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that importing the module runs: nothing inside functions, nothing under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if is_type_checking(child):
            for statement in child.orelse:
                yield statement
                yield from run_at_import(statement)
            continue
        yield child
        yield from run_at_import(child)


def test_there_are_files_to_look_at():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(MAY_IMPORT)


def test_a_room_imports_only_the_rooms_below_it(source):
    path, tree = source
    room = path.relative_to(ROOT).parts[0]
    ours = {(node.lineno, name) for node in ast.walk(tree) for name in imported_names(node, room) if name in MAY_IMPORT}
    wrong = sorted((line, name) for line, name in ours if name not in MAY_IMPORT[room])
    assert not wrong, f"{room}/ may import {sorted(MAY_IMPORT[room])} of ours; line and room: {wrong}"


def test_no_module_imports_a_heavy_package_at_its_top(source):
    path, tree = source
    room = path.relative_to(ROOT).parts[0]
    wrong = [
        (node.lineno, name) for node in run_at_import(tree) for name in imported_names(node, room) if name in HEAVY
    ]
    assert not wrong, f"import inside the function that needs it; line and package: {wrong}"


def test_no_library_prints(source):
    _, tree = source
    wrong = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not wrong, f"use logging, or the console of campaign/cli.py; lines: {wrong}"


def test_every_file_says_what_it_is_for(source):
    _, tree = source
    assert ast.get_docstring(tree), "the first line of a module is its docstring"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import ray", ["ray"]),
        ("try:\n    import torch.nn\nexcept ImportError:\n    pass", ["torch"]),
        ("class A:\n    from keras import ops", ["keras"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ray", ["typing"]),
        ("def f():\n    import gpaw", []),
    ],
)
def test_the_search_for_imports_sees_what_an_import_runs(code, found):
    assert [name for node in run_at_import(ast.parse(code)) for name in imported_names(node, "esnet")] == found


def loaded_packages(code: str) -> set[str]:
    """Top-level packages in a fresh interpreter after some code, with its own output thrown away.

    ASE asks every installed package for its file formats, and GPAW answers with a stub: that alone is not GPAW.
    """
    report = """
import sys, json
loaded = {name.split('.')[0] for name in sys.modules if name not in ('gpaw', 'gpaw.ase_plugin')}
sys.stderr.write('\\n' + json.dumps(sorted(loaded)))"""
    done = subprocess.run([sys.executable, "-c", code + report], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


VASP_GPAW = "import runpy; runpy.run_module('workflows.gpaw_vasp', run_name='__main__')"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_vasp_gpaw_answers_without_heavy_packages(option):
    call = f"try:\n    {VASP_GPAW}\nexcept SystemExit as end:\n    assert not end.code"
    assert not loaded_packages(f"import sys\nsys.argv = ['vasp-gpaw', {option!r}]\n{call}") & (HEAVY | SLOW_FOR_HELP)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_help_loads_a_heavy_package(program):
    """Of every subcommand, one after the other in one interpreter; the last line names the first that loads one."""
    lines = [[*words.split(), "--help"] for words in commands() if words.split()[0] == program]
    code = f"""
import sys
from {program}.cli.main import main
for words in {lines!r}:
    sys.argv = words
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
    found = {HEAVY | SLOW_FOR_HELP!r} & set(sys.modules)
    assert not found, (' '.join(words), found)
"""
    assert not loaded_packages(code) & (HEAVY | SLOW_FOR_HELP)


def test_importing_every_module_loads_no_heavy_package():
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
        if path.name != "__main__.py"
    ]
    code = f"import importlib\nfor name in {names!r}:\n    importlib.import_module(name)"
    assert not loaded_packages(code) & HEAVY


WRITES = {"bulk_update", "bulk_write", "close_step", "ensure_indexes", "in_transaction", "insert_missing", "move"} | {
    f"{verb}_{what}" for verb in ("delete", "insert", "replace", "update") for what in ("one", "many")
}
READ_ONLY = [
    *sorted((ROOT / "campaign" / "views").rglob("*.py")),
    *(ROOT / "campaign" / "store" / f"{name}.py" for name in ("counts", "listings")),
]


@pytest.mark.parametrize("path", READ_ONLY, ids=[str(path.relative_to(ROOT)) for path in READ_ONLY])
def test_what_people_see_only_reads(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = [(node.lineno, node.attr) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    wrong = [found for found in used if found[1] in WRITES or found[1].startswith("find_one_and_")]
    for_writing = [
        (node.lineno, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in ("OpenCampaign", "LaunchPad")
    ]
    assert not wrong + for_writing, f"views write nothing; line and name: {wrong + for_writing}"
