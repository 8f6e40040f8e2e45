"""Which of our files import which, read from their source: the graph, its circles, and imports inside functions.

`benchmarks/house.py` prints what is found here. Nothing but the standard library is needed.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("campaign", "workflows", "esnet", "launchers")


@dataclass(frozen=True)
class Import:
    """An import statement that names modules of ours.

    Attributes
    ----------
    line
        Its line number.
    targets
        The files it imports, relative to the root of the repository.
    in_function
        It runs only when a function is called.
    typing_only
        Only type checkers see it: it stands under ``if TYPE_CHECKING``.
    """

    line: int
    targets: frozenset[Path]
    in_function: bool
    typing_only: bool


ImportGraph = Mapping[Path, list[Import]]


def source_files(root: Path) -> list[Path]:
    """Return all Python files of our packages, relative to the root and sorted."""
    return sorted(path.relative_to(root) for package in PACKAGES for path in (root / package).rglob("*.py"))


def import_graph(root: Path) -> ImportGraph:
    """Return the imports of our own modules in each of our files.

    ``from package import name`` imports the file of ``package.name`` where it is a module, otherwise the package's
    ``__init__.py``. The ``__init__.py`` files of enclosing packages, which Python runs as well, are not counted.
    """
    files = {_dotted_name(path): path for path in source_files(root)}
    return {
        path: list(_imports(ast.parse((root / path).read_text(encoding="utf-8")), name, files))
        for name, path in files.items()
    }


def circles(graph: ImportGraph, *, typing_imports: bool = True) -> list[list[Path]]:
    """Return the groups of files that import each other, directly or through others, the largest first.

    A group is a strongly connected component with more than one file (Tarjan, SIAM J. Comput. 1, 146 (1972)).

    Parameters
    ----------
    graph
        The imports of each file.
    typing_imports
        Whether imports that only type checkers see count.
    """
    edges = {
        path: {target for found in imports if typing_imports or not found.typing_only for target in found.targets}
        for path, imports in graph.items()
    }
    number: dict[Path, int] = {}
    lowest: dict[Path, int] = {}
    stack: list[Path] = []
    groups: list[list[Path]] = []

    def visit(path: Path) -> None:
        number[path] = lowest[path] = len(number)
        stack.append(path)
        for target in sorted(edges[path]):
            if target not in number:
                visit(target)
                lowest[path] = min(lowest[path], lowest[target])
            elif target in stack:
                lowest[path] = min(lowest[path], number[target])
        if lowest[path] == number[path]:
            group = stack[stack.index(path) :]
            del stack[-len(group) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for path in sorted(edges):
        if path not in number:
            visit(path)
    return sorted(groups, key=lambda group: (-len(group), group))


def modules_by_folder(paths: Iterable[Path]) -> dict[Path, int]:
    """Return the number of modules directly inside each folder, the fullest first; ``__init__.py`` is not counted."""
    counts: dict[Path, int] = {}
    for path in paths:
        if path.name != "__init__.py":
            counts[path.parent] = counts.get(path.parent, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _dotted_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imports(tree: ast.Module, module: str, files: Mapping[str, Path]) -> Iterator[Import]:
    package = module if files[module].name == "__init__.py" else module.rpartition(".")[0]
    for node, in_function, typing_only in _import_statements(tree):
        targets = frozenset(files[name] for name in _imported_modules(node, package, files))
        if targets:
            yield Import(node.lineno, targets, in_function, typing_only)


def _import_statements(
    node: ast.AST, in_function: bool = False, typing_only: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """Yield every import statement below a node, and whether it is in a function or under ``if TYPE_CHECKING``."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node, in_function, typing_only
    elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for child in node.body:
            yield from _import_statements(child, in_function, True)
        for child in node.orelse:
            yield from _import_statements(child, in_function, typing_only)
    else:
        in_function |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            yield from _import_statements(child, in_function, typing_only)


def _imported_modules(node: ast.Import | ast.ImportFrom, package: str, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield the dotted names of our modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in files)
        return
    base = node.module or ""
    if node.level:
        parents = package.split(".")
        base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
    for alias in node.names:
        found = f"{base}.{alias.name}" if f"{base}.{alias.name}" in files else base
        if found in files:
            yield found
