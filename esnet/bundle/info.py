"""What a bundle says about its model, read without Keras."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from esnet.bundle.files import (
    ASSESSMENT,
    ASSESSMENT_ARRAYS,
    CARD,
    REPRESENTATION,
    TRAINING,
    BundleError,
    check_files,
    read_json,
    read_manifest,
    write_json,
)
from esnet.bundle.fingerprints import COMPOSITIONS, composition_fingerprints
from esnet.bundle.record import TrainingRecord
from esnet.representation.dos import ENERGY_MAX, ENERGY_MIN, N_GRID, ORBITALS, SPINS
from esnet.representation.features import Representation
from esnet.representation.scaling import ChannelScaler, TargetScaling

_GRID = {
    "energy_min": ENERGY_MIN,
    "energy_max": ENERGY_MAX,
    "n_energies": N_GRID,
    "spins": list(SPINS),
    "orbitals": list(ORBITALS),
}


@dataclass(frozen=True)
class BundleInfo:
    """All that a bundle says about its model, read without Keras.

    Attributes
    ----------
    path
        Its directory.
    checksum
        SHA-256 over all but the model card: the model's identity.
    created
        UTC, ISO 8601.
    members
        Names of the networks' files.
    representation
        How features are made.
    scaler, target_scaling
        Fitted on the training part; the same for all members.
    records
        One record of training for each member.
    assessment
        What `esnet.bundle.assessor.Assessor.summary` gave: calibration of the uncertainties, training data.
        None: the bundle gives energies only.
    card
        Text of the model card; None where there is none.
    """

    path: Path
    checksum: str
    created: str
    members: tuple[str, ...]
    representation: Representation
    scaler: ChannelScaler
    target_scaling: TargetScaling
    records: tuple[TrainingRecord, ...]
    assessment: Mapping[str, Any] | None
    card: str | None

    @property
    def record(self) -> TrainingRecord:
        """The record of the training run; of an ensemble, that of its first member."""
        return self.records[0]

    def unknown_elements(self, symbols: Iterable[str]) -> list[str]:
        """Return those of the elements that no training sample has; none where the bundle does not say."""
        known = (self.assessment or {}).get("elements")
        return [] if known is None else sorted(set(symbols) - set(known))

    def knows_number_of_elements(self, number: int) -> bool:
        """Whether a training sample has this many different elements; True where the bundle does not say."""
        known = (self.assessment or {}).get("numbers_of_elements")
        return known is None or str(number) in known

    @property
    def says_numbers_of_elements(self) -> bool:
        """Whether the bundle says how many different elements its training samples have."""
        return (self.assessment or {}).get("numbers_of_elements") is not None

    def unknown_compositions(self, compositions: Iterable[Mapping[str, float]]) -> NDArray[np.bool_] | None:
        """Tell the compositions (element symbol to amount) that no training sample has; None: the bundle does not say.

        Raises
        ------
        BundleError
            If the file that has them cannot be read.
        """
        if self.assessment is None:
            return None
        try:
            with np.load(self.path / ASSESSMENT_ARRAYS, allow_pickle=False) as stored:
                known = stored[COMPOSITIONS] if COMPOSITIONS in stored.files else None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{self.path}: {ASSESSMENT_ARRAYS} cannot be used: {error}") from error
        return None if known is None else ~np.isin(composition_fingerprints(compositions), known)

    @classmethod
    def read(cls, path: Path | str, *, representation: Representation | None = None, residual: bool = False) -> Self:
        """Read and check a bundle, its weights by their checksum alone.

        Parameters
        ----------
        representation
            What the model's must be; None: any.
        residual
            Whether a model of what a potential leaves over is taken (`esnet train --residual-of`).

        Raises
        ------
        BundleError
            If a file is missing, altered, or of another format version, or its energies are what a potential leaves
            over and that is not asked for.
        RepresentationError
            If ``representation`` is given and the model's is another.
        """
        folder = Path(path)
        manifest = read_manifest(folder)
        files = manifest["files"]
        check_files(folder, files)
        content, training = read_json(folder / REPRESENTATION), read_json(folder / TRAINING)
        try:
            if content["grid"] != _GRID:
                raise ValueError(f"its grid is {content['grid']}, this version reads {_GRID}")
            records = tuple(TrainingRecord.from_dict(record) for record in training["members"])
            if len(records) != len(manifest["members"]):
                raise ValueError(f"{len(records)} records for {len(manifest['members'])} networks")
            info = cls(
                path=folder,
                checksum=manifest["checksum"],
                created=manifest["created"],
                members=tuple(manifest["members"]),
                representation=Representation.from_dict(content["representation"]),
                scaler=ChannelScaler.from_dict(content["scaler"]),
                target_scaling=TargetScaling(**content["target_scaling"]),
                records=records,
                assessment=read_json(folder / ASSESSMENT) if ASSESSMENT in files else None,
                card=(folder / CARD).read_text(encoding="utf-8") if CARD in files else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{folder}: {REPRESENTATION} or {TRAINING} cannot be used: {error}") from error
        if (of := info.record.residual_of) is not None and not residual:
            raise BundleError(
                f"{folder} gives no formation energies of its own: it was trained on what the potential "
                f"{of['potential']} leaves over (esnet train --residual-of). Right here: a bundle that was trained "
                "without --residual-of; `esnet predict` and `esnet describe` take this one"
            )
        if representation is not None:
            info.representation.require(representation)
        return info


def write_info(
    folder: Path,
    *,
    representation: Representation,
    scaler: ChannelScaler,
    target_scaling: TargetScaling,
    records: Sequence[TrainingRecord],
) -> None:
    """Write the files that `BundleInfo.read` reads (the networks, the assessment and the card are not among them)."""
    write_json(
        folder / REPRESENTATION,
        {
            "grid": _GRID,
            "representation": representation.to_dict(),
            "scaler": scaler.to_dict(),
            "target_scaling": {"mean": target_scaling.mean, "deviation": target_scaling.deviation},
        },
    )
    write_json(folder / TRAINING, {"members": [record.to_dict() for record in records]})
