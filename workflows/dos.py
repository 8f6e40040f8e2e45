"""The IS-DOS of a structure as a jobflow flow: single point, then its features."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jobflow import Flow, Job
from numpy.typing import NDArray
from pymatgen.core import Structure
from pymatgen.electronic_structure.dos import CompleteDos

from esnet.representation.dos import EnergyReference, Normalisation, project_dos, source_spacing
from workflows.engine import EngineCommand
from workflows.identity import job_uuid
from workflows.inputs.outside_settings import store_large_objects
from workflows.settings import DftSettings
from workflows.vasp import static_maker

FEATURES_VERSION = 2
"""Version 2 stores the Fermi level (needed for the moments); version 1 can be read too."""


@dataclass(frozen=True, kw_only=True)
class DosFeatures:
    """Projected DOS of one calculation, encoded for storage.

    Attributes
    ----------
    data
        zlib-compressed little-endian float32 of shape ``shape``.
    shape
        (2, 1500, 9): spins, energies, orbitals (states/eV per atom, or as given by `normalisation`).
    sha256
        Checksum of `data`.
    spacing
        Energy spacing of the calculation's own grid, eV.
    efermi
        Fermi level as written by the engine, eV; None in documents of version 1.
    normalisation, energy_reference
        Representation settings, see `esnet.representation.dos.project_dos`.
    version
        Version of this encoding.
    """

    data: bytes
    shape: tuple[int, int, int]
    sha256: str
    spacing: float
    efermi: float | None
    normalisation: str
    energy_reference: str
    version: int = FEATURES_VERSION

    @classmethod
    def encode(
        cls,
        array: NDArray[np.float32],
        *,
        spacing: float,
        efermi: float | None,
        normalisation: str,
        energy_reference: str,
    ) -> DosFeatures:
        """Compress an array of shape (2, 1500, 9)."""
        data = zlib.compress(np.ascontiguousarray(array, dtype="<f4").tobytes(), level=6)
        spins, energies, orbitals = array.shape
        return cls(
            data=data,
            shape=(spins, energies, orbitals),
            sha256=hashlib.sha256(data).hexdigest(),
            spacing=spacing,
            efermi=efermi,
            normalisation=normalisation,
            energy_reference=energy_reference,
        )

    def decode(self) -> NDArray[np.float32]:
        """Return the array of shape (2, 1500, 9).

        Raises
        ------
        ValueError
            If the data does not match its checksum, is not finite, or was written by a newer version.
        """
        if self.version not in (1, FEATURES_VERSION):
            raise ValueError(
                f"DOS features of version {self.version}; this program reads versions 1 and {FEATURES_VERSION}"
            )
        found = hashlib.sha256(self.data).hexdigest()
        if found != self.sha256:
            raise ValueError(f"DOS features are damaged: SHA-256 is {found}, stored is {self.sha256}")
        dos = np.frombuffer(zlib.decompress(self.data), dtype="<f4").reshape(self.shape)
        if others := np.count_nonzero(~np.isfinite(dos)):
            raise ValueError(f"DOS features are damaged: {others} values are not finite")
        return dos

    def to_document(self) -> dict[str, Any]:
        """Return a dictionary for MongoDB, with binary data."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> DosFeatures:
        """Create from the result of `to_document`; other keys are ignored."""
        spins, energies, orbitals = document["shape"]
        return cls(
            data=bytes(document["data"]),
            shape=(spins, energies, orbitals),
            sha256=document["sha256"],
            spacing=document["spacing"],
            efermi=document.get("efermi"),
            normalisation=document["normalisation"],
            energy_reference=document["energy_reference"],
            version=document["version"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of JSON types, as required for a jobflow output."""
        return self.to_document() | {"data": base64.b64encode(self.data).decode("ascii")}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> DosFeatures:
        """Create from the result of `to_json`."""
        return cls.from_document({**document, "data": base64.b64decode(document["data"])})


def extract_features(
    complete_dos: Any, normalisation: Normalisation, energy_reference: EnergyReference
) -> dict[str, Any]:
    """Project a DOS (a pymatgen CompleteDos, or its dictionary) onto the fixed grid: the function of the features job.

    Returns the result of `DosFeatures.to_json`.
    """
    dos = CompleteDos.from_dict(complete_dos) if isinstance(complete_dos, Mapping) else complete_dos
    array = project_dos(dos, normalisation=normalisation, energy_reference=energy_reference)
    return DosFeatures.encode(
        array,
        spacing=source_spacing(dos),
        efermi=float(dos.efermi),
        normalisation=normalisation,
        energy_reference=energy_reference,
    ).to_json()


def dos_flow(
    structure: Structure,
    settings: DftSettings,
    *,
    normalisation: Normalisation = "atom",
    energy_reference: EnergyReference = "absolute",
    vasp_command: EngineCommand | None = None,
    name: str = "IS-DOS",
    key: str | None = None,
    incar: Mapping[str, Any] | None = None,
) -> Flow:
    """Return the flow of a structure's single-point DOS and its features.

    Parameters
    ----------
    normalisation, energy_reference
        See `esnet.representation.dos.project_dos`.
    vasp_command
        Command of the engine on this machine. If None, atomate2's default.
    name
        ``IS-DOS`` or ``RS-DOS``.
    key
        Jobs made with the same key have the same uuids, so that a repeated step finds its results.
    incar
        INCAR tags in addition to the settings' own.

    Returns
    -------
    jobflow.Flow
        Two jobs: an atomate2 static job (emmet TaskDoc), and the features job (`DosFeatures.to_json`).
    """
    static = static_maker(structure, settings, vasp_command=vasp_command, name=name, incar=incar).make(structure)
    store_large_objects(static)
    if key is not None:
        # before anything refers to its output, since references contain the uuid
        static.set_uuid(job_uuid(f"{key}:static"))
    arguments = (static.output.vasp_objects["dos"], normalisation, energy_reference)
    features = Job(extract_features, function_args=arguments, name="DOS features")
    if key is not None:
        features.set_uuid(job_uuid(f"{key}:features"))
    return Flow([static, features], output=features.output, name=name)
