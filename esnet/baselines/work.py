"""Working folder with the results of finished models, to resume an interrupted comparison."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from esnet.baselines.result import ModelResult
from esnet.baselines.settings import BenchmarkError
from esnet.files.atomic import part_of, write_whole
from esnet.files.sealed import read_sealed, write_sealed

_ABOUT = "comparison.json"


class BenchmarkWork:
    """Working folder of one comparison.

    Parameters
    ----------
    folder
        Path of the folder, created if it does not exist. If None, nothing is kept.
    fingerprint
        Inputs of the comparison in JSON types, except the models, since more may be requested next time.

    Raises
    ------
    BenchmarkError
        If the folder belongs to something else; the message names the differences.
    """

    def __init__(self, folder: Path | None, fingerprint: Mapping[str, Any]) -> None:
        self.folder = folder
        self.fingerprint = json.loads(json.dumps(dict(fingerprint)))
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        if all(file.name == part_of(folder / _ABOUT).name for file in folder.iterdir()):
            _write(folder / _ABOUT, self.fingerprint)
        found = _read(folder / _ABOUT)
        if found is None:
            raise BenchmarkError(
                f"{folder} is not the working folder of a comparison (no {_ABOUT}): remove or rename it"
            )
        differing = [name for name, value in self.fingerprint.items() if found.get(name) != value]
        if differing:
            named = "; ".join(f"{name} was {found.get(name)!r}, is {self.fingerprint[name]!r}" for name in differing)
            raise BenchmarkError(
                f"{folder} belongs to another comparison ({named}): finish that one, remove the folder, or name "
                "another --output"
            )

    def done(self, name: str) -> ModelResult | None:
        """Return the result of a finished model, or None."""
        if self.folder is None:
            return None
        found = read_sealed(self.folder / f"{name}.json")
        return None if found is None else ModelResult(**found)

    def keep(self, result: ModelResult) -> None:
        """Save the result of a model."""
        if self.folder is not None:
            write_sealed(self.folder / f"{result.name}.json", asdict(result))

    def model_folder(self, name: str) -> Path | None:
        """Return the path for a trained model, after removing an earlier one; None if models are not kept."""
        if self.folder is None:
            return None
        folder = self._model(name)
        if folder.exists():  # left by a run that stopped before writing the result
            shutil.rmtree(folder)
        return folder

    def kept_models(self, names: Iterable[str]) -> dict[str, Path]:
        """Return the folders of the trained models, by name."""
        return {name: self._model(name) for name in names if self.folder is not None and self._model(name).is_dir()}

    def _model(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name}.model"

    def remove(self) -> None:
        """Remove the folder, once the comparison has been written."""
        if self.folder is not None:
            shutil.rmtree(self.folder)


def _read(file: Path) -> Any:
    """Return the content of a file, or None if it is missing or incomplete."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write(file: Path, content: Mapping[str, Any]) -> None:
    write_whole(file, json.dumps(content, allow_nan=False))
