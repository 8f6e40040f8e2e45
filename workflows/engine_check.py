"""Check VASP and its POTCARs on this node: ``python -m workflows.engine_check``.

It prints its findings as a JSON list: ``what`` was checked and found, and the ``remedy``, null if all is well.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence

from workflows.command_line import CommandLineError, programs
from workflows.potcars.library import library_folder, potcar_findings
from workflows.potcars.titles import potcar_symbol

Finding = tuple[str, str | None]


def _look_at_command(command: str) -> Iterator[Finding]:
    """Check the program, and the one that starts it (srun, mpirun)."""
    try:
        path, names = programs(command)
    except CommandLineError as error:
        yield f"VASP: {command!r}: {error}", "change dft.vasp_command, or vasp_command in cluster.yaml"
        return
    for name in names:
        found = shutil.which(name, path=path)
        if found is None:
            yield (
                f"VASP: {name} (of {command!r}) is not in the PATH of the jobs' environment",
                "name its module in modules: or its folder in environment: (export PATH=...) of cluster.yaml",
            )
        else:
            yield f"VASP: {found}", None


def _look_at_potcars(wanted: str) -> Iterator[Finding]:
    functional, _, names = wanted.partition(":")
    elements = names.split(",")
    found = list(potcar_findings(elements, functional))
    for finding in found:
        yield f"POTCARs: {finding.what}", finding.remedy
    if not any(finding.remedy for finding in found):
        symbols = ", ".join(potcar_symbol(element, functional) for element in elements)
        yield f"POTCARs: {symbols} of {functional} in {library_folder(functional)}", None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m workflows.engine_check``."""
    parser = argparse.ArgumentParser(prog="python -m workflows.engine_check", description=__doc__)
    parser.add_argument("--command", action="append", default=[], help="command line of VASP; may be repeated")
    parser.add_argument("--potcars", action="append", default=[], help="SET:ELEMENT,...; may be repeated")
    options = parser.parse_args(arguments)
    found = [finding for command in options.command for finding in _look_at_command(command)]
    found += [finding for wanted in options.potcars for finding in _look_at_potcars(wanted)]
    sys.stdout.write(json.dumps([{"what": what, "remedy": remedy} for what, remedy in found]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
