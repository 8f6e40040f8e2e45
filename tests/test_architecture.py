"""The rules of the house that no linter knows: who imports whom, and that importing does no heavy work."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_lines import PROGRAMS, commands
from import_graph import circles, import_graph, modules_by_folder

ROOT = Path(__file__).resolve().parents[1]
MOST_MODULES = 20
#: The rooms of each package from the top down: a room imports only rooms below it.
ROOMS = (
    *(
        "campaign.cli",
        "campaign.api",
        "campaign.commands",
        "campaign.runner",
        "campaign.firetasks",
        "campaign.running_campaign",
        "campaign.notify",
    ),
    *(
        "campaign.views",
        "campaign.verification",
        "campaign.recovery",
        "campaign.steps",
        "campaign.scheduling",
        "campaign.replay",
    ),
    *("campaign.budget", "campaign.attempts", "campaign.metrics", "campaign.references", "campaign.store"),
    *("campaign.spec", "campaign.scorers", "campaign.policies", "campaign.recalibration", "campaign.hull"),
    "campaign.combination",
    "campaign.candidates",
    "campaign.config",
    "workflows",
    *(
        "esnet.cli",
        "esnet.commands",
        "esnet.api",
        "esnet.tuning",
        "esnet.evaluation",
        "esnet.baselines",
        "esnet.training",
    ),
    *(
        "esnet.api",
        "esnet.residual",
        "esnet.scoring",
        "esnet.graph",
        "esnet.bundle",
        "esnet.similarity",
        "esnet.sources",
        "esnet.dataset",
        "esnet.potentials",
        "esnet.network",
    ),
    *("esnet.representation", "esnet.ray", "esnet.files"),
    *("launchers.cluster", "launchers.workers", "launchers.ray_cluster", "launchers.mongod", "launchers.database"),
    "launchers.scheduler",
)
#: What several rooms above them share: how a command is declared, and the console.
EVERYWHERE = {"esnet.cli.lazy", "esnet.commands.console"}
#: Rooms of arithmetic, which know no database.
PURE = ("config", "hull", "policies", "recalibration", "combination", "metrics", "candidates")
MAY_IMPORT = {
    "campaign": {"campaign", "workflows", "esnet", "launchers"},
    "workflows": {"workflows", "esnet"},
    "esnet": {"esnet"},
    "launchers": {"launchers"},
}
HEAVY = {"tensorflow", "keras", "ray", "ax", "torch", "atomate2", "gpaw", "umap", "xgboost", "aviary", "matgl"}
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


GRAPH = import_graph(ROOT)


def room_of(path: Path) -> str:
    parts = path.with_suffix("").parts
    return parts[0] if parts[0] == "workflows" else ".".join(parts[:2])


def test_every_room_has_its_place_in_the_order():
    folders = {room_of(path) for path in GRAPH if path.name != "__init__.py" or len(path.parts) > 2}
    assert folders - {"launchers.install"} == set(ROOMS)


def test_rooms_import_downwards_only():
    place = {room: number for number, room in enumerate(ROOMS)}
    wrong = [
        (str(path), found.line, str(target))
        for path, imports in GRAPH.items()
        for found in imports
        for target in found.targets
        if ".".join(target.with_suffix("").parts) not in EVERYWHERE
        and place.get(room_of(path), 0) > place.get(room_of(target), len(ROOMS))
    ]
    assert not wrong, f"a room imports only rooms below it; file, line, import: {wrong}"


def test_no_files_import_each_other_in_a_circle():
    assert circles(GRAPH) == []


def test_no_folder_has_more_modules_than_a_listing_can_show():
    assert {str(path): number for path, number in modules_by_folder(GRAPH).items() if number > MOST_MODULES} == {}


def test_our_own_modules_are_imported_at_the_top_of_files():
    inside = {str(path) for path, imports in GRAPH.items() if any(found.in_function for found in imports)}
    assert inside == {"workflows/gpaw_vasp/program.py"}, "the help of vasp-gpaw loads no engine; all others at the top"


@pytest.mark.parametrize("path", [path for room in PURE for path in sorted((ROOT / "campaign" / room).glob("*.py"))])
def test_rooms_of_arithmetic_know_no_database(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    roots = {name for node in ast.walk(tree) for name in imported_names(node, "campaign")}
    assert not roots & {"pymongo", "bson", "gridfs", "fireworks", "maggma"}


#: What asks or changes a collection, and what makes a change.
QUERIES = {"aggregate", "bulk_write", "count_documents", "distinct", "estimated_document_count", "find", "find_one"} | {
    *("find_one_and_update", "find_one_and_delete", "find_one_and_replace", "create_index", "drop_index"),
    *(f"{verb}_{what}" for verb in ("delete", "insert", "replace", "update") for what in ("one", "many")),
}


COLLECTIONS = {
    "candidates",
    "references",
    "features",
    "attempts",
    "steps",
    "models",
    "reference_sets",
    "campaigns",
    "events",
} | {*("fireworks", "workflows", "launches", "fw_id_assigner", "database")}


@pytest.mark.parametrize(
    "path",
    [path for path in GRAPH if path.parts[0] == "campaign" and path.parts[1] != "store"],
    ids=[str(path) for path in GRAPH if path.parts[0] == "campaign" and path.parts[1] != "store"],
)
def test_collections_are_touched_in_the_store_alone(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    wrong = [
        (node.lineno, ast.unparse(node))
        for node in attributes
        if (node.attr in QUERIES and isinstance(node.value, ast.Attribute | ast.Subscript))
        or (node.attr in COLLECTIONS and ast.unparse(node.value).split(".")[-1] in ("store", "launchpad"))
    ]
    assert not wrong, f"a query is a function of campaign/store/; line and expression: {wrong}"


WRITES = {"bulk_update", "bulk_write", "close_step", "ensure_indexes", "in_transaction", "insert_missing", "move"} | {
    f"{verb}_{what}" for verb in ("delete", "insert", "replace", "update") for what in ("one", "many")
}
READ_ONLY = [
    *sorted((ROOT / "campaign" / "views").rglob("*.py")),
    *sorted((ROOT / "campaign" / "verification").glob("*.py")),
    *(ROOT / "campaign" / "store" / f"{name}.py" for name in ("counts", "integrity", "listings")),
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
    assert not wrong + for_writing, f"views and checks write nothing; line and name: {wrong + for_writing}"
