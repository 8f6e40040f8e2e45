"""Energies of relaxed crystals, saved one by one, so that a killed process loses only the relaxation in progress.

The file consists of JSON lines: the first describes the potential, each further line holds the energy of a crystal or
the reason why there is none, and a checksum of the line.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esnet.dataset.crystals import Crystal
from esnet.files.folder_lock import exclusive
from esnet.files.sealed import read_sealed_line, sealed_line
from esnet.potentials.relaxation import NoEnergyError
from esnet.residual.potential import PotentialError, ResidualPotential

if TYPE_CHECKING:
    from pymatgen.core import Structure

_FORMAT = {"format": "esnet-potential-energies", "format_version": 1}


class EnergiesFile:
    """Energies in eV/atom by the initial crystal of a relaxation; made by `opened`."""

    def __init__(self, potential: ResidualPotential, file: Any, known: dict[str, float | str]) -> None:
        self._potential, self._file, self._known = potential, file, known

    def energy(self, structure: "Structure") -> float:
        """Return the energy of a crystal after relaxation with the potential; NoEnergyError if there is none."""
        name = Crystal.of(structure).digest().hex()
        if name not in self._known:
            try:
                self._known[name] = self._potential.energy(structure)
            except NoEnergyError as error:
                self._known[name] = str(error)
            _write_line(self._file, {"crystal": name, "energy": self._known[name]})
        found = self._known[name]
        if isinstance(found, str):
            raise NoEnergyError(found)
        return found


def _write_line(file: Any, content: dict[str, Any]) -> None:
    file.write(sealed_line(content))
    file.flush()


@contextmanager
def opened(path: Path, potential: ResidualPotential) -> Iterator[EnergiesFile]:
    """Open a file of energies, locked for this process, creating it if necessary.

    Raises
    ------
    PotentialError
        If another process is using it, it is damaged, or its energies are from another potential or version.
    """
    lock = path.with_name(f".{path.name}.lock")
    with exclusive(lock, busy=PotentialError(f"{path}: another process is writing energies to this file")):
        known = _read(path, potential)
        with path.open("a", encoding="utf-8") as file:
            if not path.stat().st_size:
                _write_line(file, {**_FORMAT, "potential": potential.description()})
            yield EnergiesFile(potential, file, known)


def _read(path: Path, potential: ResidualPotential) -> dict[str, float | str]:
    if not path.exists():
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):  # truncated when the process was killed
        with path.open("r+b") as file:
            file.truncate(len(whole))
    known: dict[str, float | str] = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            content = read_sealed_line(line) or {}
            said = content["potential"] if number == 1 else None
            if number > 1:
                known[content["crystal"]] = content["energy"]
        except (KeyError, TypeError) as error:
            raise PotentialError(f"{path}, line {number}: was altered; remove the file to relax anew") from error
        if said is not None and (differing := potential.differences(said)):
            raise PotentialError(
                f"{path}: its energies are not those of the potential asked for: {differing}; right: another file "
                "(--potential-energies), or remove this one"
            )
    return known
