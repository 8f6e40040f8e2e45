"""Measure the size of each extra: the number of packages that it adds to the base installation, and their disk space.

    python benchmarks/extras.py          in the environment of `make setup`; prints the table of docs/how-to/install.md

Packages are counted if an extra in pyproject.toml requires them, directly or indirectly, and the base installation does
not. Sizes are summed over the files that each installed package lists; an extra with a package that is not installed
here is left out.
"""

import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
LEFT_OUT = {"dev", "docs"}  # for developers


def installed(requirements: list[str]) -> dict[str, Distribution]:
    """Return all installed packages that the requirements need, directly or indirectly, by name.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If one of the given requirements is not installed.
    """
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), True) for text in requirements]
    while waiting:
        requirement, required = waiting.pop()
        name = canonicalize_name(requirement.name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            if required:
                raise
            continue
        found[name] = package
        for extra in {"", *requirement.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            inner = [Requirement(text) for text in package.requires or ()]
            waiting += [(one, False) for one in inner if one.marker is None or one.marker.evaluate({"extra": extra})]
    return found


def megabytes(packages: dict[str, Distribution]) -> float:
    """Return the disk space of the files that the packages list, MB."""
    paths = [Path(str(file.locate())) for package in packages.values() for file in package.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    """Print a row for the base installation and one for each extra."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    base = installed(project["dependencies"])
    print("| extra | packages | MB |\n| --- | --- | --- |")
    print(f"| (base) | {len(base)} | {megabytes(base):.0f} |")
    for extra, requirements in project["optional-dependencies"].items():
        if extra in LEFT_OUT:
            continue
        try:
            packages = installed(requirements)
        except PackageNotFoundError:
            continue
        added = {name: package for name, package in packages.items() if name not in base}
        print(f"| `{extra}` | {len(added)} | {megabytes(added):.0f} |")


if __name__ == "__main__":
    main()
