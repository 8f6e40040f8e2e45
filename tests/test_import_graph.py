"""The graph of imports that `make metrics` and the rules of the house rest on."""

from pathlib import Path

import pytest
from import_graph import circles, import_graph, modules_by_folder

FILES = {
    "campaign/__init__.py": "",
    "campaign/store.py": "from campaign.views import status\n",
    "campaign/views/__init__.py": "",
    "campaign/views/status.py": "def f():\n    import campaign.budget\n",
    "campaign/budget.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from campaign.store import Store\n",
    "esnet/dos.py": "from . import features, missing\nimport numpy\n",
    "esnet/features.py": "class A:\n    def f(self):\n        from esnet.dos import x, y\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_circle_closed_inside_a_function_is_found(root):
    dos = [Path("esnet/dos.py"), Path("esnet/features.py")]
    assert circles(import_graph(root), typing_imports=False) == [dos]


def test_a_circle_closed_for_type_checkers_is_found_unless_those_are_left_out(root):
    campaign = [Path("campaign/budget.py"), Path("campaign/store.py"), Path("campaign/views/status.py")]
    assert circles(import_graph(root))[0] == campaign


def test_an_import_names_the_module_rather_than_its_package(root):
    graph = import_graph(root)
    (found,) = graph[Path("campaign/store.py")]
    assert (found.line, found.targets, found.in_function) == (1, {Path("campaign/views/status.py")}, False)


def test_one_statement_inside_a_function_is_one_import(root):
    inside = [found for imports in import_graph(root).values() for found in imports if found.in_function]
    assert [found.targets for found in inside] == [{Path("campaign/budget.py")}, {Path("esnet/dos.py")}]


def test_the_fullest_folder_comes_first_and_packages_do_not_count(root):
    assert list(modules_by_folder(import_graph(root)).items()) == [
        (Path("campaign"), 2), (Path("esnet"), 2), (Path("campaign/views"), 1)
    ]  # fmt: skip
