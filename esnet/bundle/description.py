"""The output of `esnet describe`, read from a bundle without Keras."""

from collections.abc import Iterator, Mapping
from typing import Any

from esnet.bundle.info import BundleInfo
from esnet.bundle.record import TrainingRecord
from esnet.dataset.corrections import format_corrections, stated_corrections

_MINUTE, _HOUR = 60.0, 3600.0


def bundle_summary(info: BundleInfo) -> dict[str, Any]:
    """Return identity, scalings, records, assessment and model card of a bundle in JSON types."""
    return {
        "path": str(info.path),
        "checksum": info.checksum,
        "created": info.created,
        "members": list(info.members),
        "representation": info.representation.to_dict(),
        "scaler": info.scaler.to_dict(),
        "target_scaling": {"mean": info.target_scaling.mean, "deviation": info.target_scaling.deviation},
        "records": [record.to_dict() for record in info.records],
        "assessment": None if info.assessment is None else dict(info.assessment),
        "card": info.card,
    }


def summary_rows(info: BundleInfo) -> Iterator[tuple[str, str]]:
    """Yield the summary as rows of two columns; the errors by part are in a separate table (`error_rows`)."""
    record = info.record
    yield "checksum", info.checksum
    yield "made", info.created
    yield "networks", f"{len(info.members)}, of {record.n_parameters:,} parameters each"
    yield "widths", ", ".join(str(width) for width in record.settings["widths"])
    yield "representation", _pairs(info.representation.to_dict())
    if record.adds_single_point:
        yield "predicts", "what the relaxation changes in the formation energy of the unrelaxed crystal, which is added"
    elif (of := record.residual_of) is not None:
        yield (
            "predicts",
            f"residuals of the potential {of['potential']} in formation energies; {_pairs(of['versions'])}",
        )
        yield "potential", f"corrections {of['corrections'] or 'not known'}; crystals of {' '.join(of['elements'])}"
    yield "energies", f"mean {info.target_scaling.mean:.4f}, deviation {info.target_scaling.deviation:.4f} eV/atom"
    yield from _data_rows(record)
    yield from _training_rows(record)
    for number, member in enumerate(info.records, start=1):
        yield f"network {number}", _member(member)
    yield from _assessment_rows(info.assessment)
    yield "environment", _pairs(record.environment)
    yield "versions", _pairs(record.versions)


def error_rows(info: BundleInfo) -> Iterator[tuple[str, str, int, float, float]]:
    """Yield part, task, number of samples, MAE and RMSE (eV/atom; means over the members of an ensemble)."""
    for part, found in info.record.metrics.items():
        for task, figures in found.items():
            mae, rmse = (
                sum(record.metrics[part][task][name] for record in info.records) / len(info.records)
                for name in ("mae", "rmse")
            )
            yield part, task, int(figures["n"]), mae, rmse


def format_error(info: BundleInfo) -> str | None:
    """Format the error on crystals that the networks were not fitted to; None if the record has none.

    The error on the test part is preferred to that on the validation part, and IS-DOS to the kinds trained on.
    """
    found = {(part, task): (count, mae) for part, task, count, mae, _ in error_rows(info) if count}
    for part in ("test", "validation"):
        for task in ("IS2RE", "RS2RE", "all"):
            if (part, task) in found:
                count, mae = found[part, task]
                of = f"each of its {len(info.records)} networks has" if len(info.records) > 1 else "it has"
                return f"{of} a mean absolute error of {mae:.3f} eV/atom on {count} {part} samples"
    return None


def _data_rows(record: TrainingRecord) -> Iterator[tuple[str, str]]:
    yield "data", f"{record.data_name or 'samples in memory'}, checksum {record.data_checksum}"
    if record.data_source:
        yield "source", _pairs({name: value for name, value in record.data_source.items() if name != "residual_of"})
    yield "corrections", format_corrections(stated_corrections(record.data_source))
    kinds = f" of kind {record.kinds}" if record.kinds else ""
    train = f"{record.n_train} train (of {record.n_materials} materials)"
    parts = f"{train}, {record.n_validation} validation, {record.n_test} test"
    yield "samples", f"{record.n_samples}{kinds}: {parts}"
    if record.initial is not None:
        new = record.initial["n_new"]
        yield "went on from", f"{record.initial['checksum']}{'' if new is None else f', with {new} new samples'}"
    if any(record.n_dropped.values()):
        yield "left out", f"{_pairs(record.n_dropped)}: {', '.join(record.dropped_ids[:10])}"
    if record.validation_note:
        yield "note", record.validation_note
    if record.split is None:
        held_out = record.initial is not None and record.initial["n_new"] is not None
        yield "split", "whole materials that were new are held out" if held_out else f"random, seed {record.seed}"
        return
    notes = "; ".join(record.split.get("notes", ()))
    yield (
        "split",
        (
            f"by {record.split['by']}, seed {record.split['seed']}, validation {record.split['validation_fraction']}, "
            f"test {record.split['test_fraction']}"
            + (f" and {', '.join(systems)}" if (systems := record.split.get("test_chemsys")) else "")
            + (f" ({notes})" if notes else "")
        ),
    )


def _training_rows(record: TrainingRecord) -> Iterator[tuple[str, str]]:
    settings = {name: value for name, value in record.settings.items() if name not in ("widths", "seed")}
    yield "settings", _pairs(settings)
    yield "used", _pairs({"batch_size": record.batch_size, "batch_norm_momentum": record.batch_norm_momentum})


def _member(record: TrainingRecord) -> str:
    parts = (("train", record.mae_train), ("validation", record.mae_validation), ("test", record.mae_test))
    errors = ", ".join(f"{name} {value:.3f}" for name, value in parts if value is not None)
    return (
        f"seed {record.seed}, {record.epochs} epochs ({record.stopped}), best {record.best_epoch}; MAE {errors} "
        f"eV/atom; {record.finished}, {_duration(record.wall_s)} ({_duration(record.cpu_s)} of CPU)"
    )


def _assessment_rows(assessment: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if assessment is None:
        yield "uncertainty", "none: the bundle gives energies only"
        return
    calibration, novelty = assessment["uncertainty"], assessment["novelty"]
    yield "uncertainty", "none: nothing to calibrate it on" if calibration is None else _pairs(calibration)
    yield "novelty", "none" if novelty is None else _pairs(novelty)
    if assessment.get("novelty_of") == "fine-tuning":
        yield "", "relative to the samples of the fine-tuning only: those similar only to older ones count as novel"
    elements = assessment["elements"]
    yield "elements", f"{len(elements)} trained on: {' '.join(elements)}"


def _pairs(values: Mapping[str, Any]) -> str:
    """Return ``name value, name value``, with nested mappings in brackets."""
    return ", ".join(f"{name} {_text(value)}" for name, value in values.items() if value is not None)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_pairs(value)})"
    if isinstance(value, list):
        return " ".join(str(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < 2 * _HOUR else f"{seconds / _HOUR:.1f} h"
