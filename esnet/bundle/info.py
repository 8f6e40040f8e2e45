"""Description of a bundle's model, read without Keras."""

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
    """Description of a bundle's model, read without Keras.

    Attributes
    ----------
    path
        Directory of the bundle.
    checksum
        SHA-256 of everything but the model card: the model's identity.
    created
        Time of creation, UTC, ISO 8601.
    members
        Names of the networks' files.
    representation
        Representation of the features.
    scaler, target_scaling
        Scalings fitted to the training part, the same for all members.
    records
        One training record for each member.
    assessment
        Result of `esnet.bundle.assessor.UncertaintyEstimator.summary`: calibration of the uncertainties, training data.
        None if the bundle gives energies only.
    card
        Text of the model card, or None.
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
        """Record of the training run; for an ensemble, that of its first member."""
        return self.records[0]

    def unknown_elements(self, symbols: Iterable[str]) -> list[str]:
        """Return the elements absent from the training samples; empty if the bundle does not state them."""
        known = (self.assessment or {}).get("elements")
        return [] if known is None else sorted(set(symbols) - set(known))

    def knows_number_of_elements(self, number: int) -> bool:
        """Whether a training sample has this number of distinct elements; True if the bundle does not state it."""
        known = (self.assessment or {}).get("numbers_of_elements")
        return known is None or str(number) in known

    @property
    def says_numbers_of_elements(self) -> bool:
        """Whether the bundle states the numbers of distinct elements of its training samples."""
        return (self.assessment or {}).get("numbers_of_elements") is not None

    def unknown_compositions(self, compositions: Iterable[Mapping[str, float]]) -> NDArray[np.bool_] | None:
        """Return which compositions (element symbol to amount) are absent from the training samples; None if unknown.

        Raises
        ------
        BundleError
            If the file of fingerprints cannot be read.
        """
        if self.assessment is None:
            return None
        try:
            with np.load(self.path / ASSESSMENT_ARRAYS, allow_pickle=False) as stored:
                known = stored[COMPOSITIONS] if COMPOSITIONS in stored.files else None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{self.path}: {ASSESSMENT_ARRAYS} cannot be used: {error}") from error
        return None if known is None else ~np.isin(composition_fingerprints(compositions), known)

    def require_formation_energies(self, accepted: bool | str = False) -> None:
        """Refuse a model of residuals, unless ``accepted`` is True or the name of the potential.

        Raises
        ------
        BundleError
            Says what takes this model.
        """
        if (of := self.record.residual_of) is None or accepted in (True, of["potential"]):
            return
        what, right = f"residuals of the potential {of['potential']}", "`esnet predict`"
        if self.record.adds_single_point:
            what, right = "the change of formation energies by the relaxation", "campaigns (scorer esnet)"
        raise BundleError(
            f"{self.path} predicts {what} instead of formation energies (esnet train --residual-of). Right here: a "
            f"bundle that was trained without --residual-of; {right}, `esnet evaluate` and `esnet describe` accept "
            "this one"
        )

    @classmethod
    def read(
        cls, path: Path | str, *, representation: Representation | None = None, residual: bool | str = False
    ) -> Self:
        """Read and check a bundle; the weights are only verified by their checksum.

        Parameters
        ----------
        representation
            Required representation. If None, any.
        residual
            Whether to accept a model of a potential's residuals (`esnet train --residual-of`), or the name of the only
            potential to accept (`SINGLE_POINT` for the energies of the IS-DOS calculations).

        Raises
        ------
        BundleError
            If a file is missing, altered, or of another format version, or if it is a model of a potential's residuals
            and ``residual`` is False.
        RepresentationError
            If ``representation`` is given and differs from the model's.
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
        info.require_formation_energies(residual)
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
    """Write the files that `BundleInfo.read` reads, except networks, assessment and card."""
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
