"""All numbers of the page, from the results that are kept."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.leaderboard.numbers import by_movement, dos_cost, interval, moved, of_seeds, similarity
from benchmarks.leaderboard.potentials import POTENTIALS
from benchmarks.leaderboard.splits import VALIDATION
from benchmarks.leaderboard.trainings import (
    ELEMENT_MODELS,
    RESIDUAL_BASES,
    RESIDUAL_MODELS,
    Results,
    Training,
    curve_sizes,
    n_compounds,
    needs_dos,
)
from esnet.baselines.settings import TITLES
from esnet.dataset.dataset import Dataset
from esnet.files.versions import installed_versions

Predictions = Mapping[str, float | None]
_PACKAGES = ("esnet-campaign", "numpy", "scikit-learn", "xgboost-cpu", "keras", "tensorflow-cpu", "torch",
             "aviary-models", "matgl", "chgnet", "sevenn")  # fmt: skip


class Summary:
    """Numbers of one leaderboard.

    Parameters
    ----------
    potentials
        By name and material, as `benchmarks.leaderboard.potentials.relaxed_energies` gives them.
    """

    def __init__(
        self,
        dataset: Dataset,
        splits: Mapping[str, str],
        results: Results,
        *,
        models: Sequence[str],
        seeds: int,
        potentials: Mapping[str, Mapping[str, Mapping[str, Any]]],
    ) -> None:
        self.dataset, self.splits, self.results = dataset, splits, results
        self.models, self.seeds, self.potentials = models, range(1, seeds + 1), potentials

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON types."""
        dataset = self.dataset
        chemsys = dict(zip(dataset.materials, dataset.chemsys, strict=True))
        compounds = [name for name, system in chemsys.items() if "-" in system]
        how_far = moved(dataset)
        stable = {name for name, energy in zip(dataset.materials, dataset.energies, strict=True) if energy <= 0}
        return {
            "format": "esnet-leaderboard",
            "date": datetime.now(UTC).date().isoformat(),
            "dataset": dataset.checksum,
            "crystals": len(compounds),
            "elements": len(chemsys) - len(compounds),
            "stable": len(stable & set(compounds)),
            "samples": dict(dataset.manifest.counts),
            "seeds": len(self.seeds),
            "settings": self.results.about,
            "parts": {letter: self.splits["random-1"].count(letter) for letter in ".vt"},
            "validation_fraction": VALIDATION,
            "versions": installed_versions(*_PACKAGES),
            "table": {by: self._table(by) for by in ("random", "chemsys")},
            "costs": self._costs(),
            "curves": self._curves(),
            "ablation": self._ablation(),
            "residual": self._residual(),
            "elements_left_out": self._elements(),
            "similarity": similarity(dataset),
            "moved": sorted(how_far.values()),
            "by_movement": {
                kinds: by_movement(dataset, how_far, self._predictions("esnet", kinds, "random"))
                for kinds in ("rs_dos", "is_dos")
                if "esnet" in self.models
            },
            "problems": self._problems(),
        }

    def _said(self, training: Training) -> Predictions:
        found = self.results.read(training)
        return {} if found is None else found["predictions"]

    def _predictions(self, model: str, kinds: Any, by: str, **changes: Any) -> list[Predictions]:
        """Of each seed."""
        return [
            self._said(Training(model=model, kinds=kinds, split=f"{by}-{seed}", seed=seed, **changes))
            for seed in self.seeds
        ]

    def _of_potential(self, name: str, split: str) -> Predictions:
        """What a potential says of a test part: of the initial crystals."""
        part_of = dict(zip(sorted(set(self.dataset.materials)), self.splits[split], strict=True))
        return {
            sample: self.potentials[name].get(material, {}).get("e_form")
            for sample, material, kind in zip(self.dataset.ids, self.dataset.materials, self.dataset.kinds, strict=True)
            if kind == "is_dos" and part_of[material] == "t"
        }

    def _table(self, by: str) -> list[dict[str, Any]]:
        rows = []
        for model in self.models:
            trained = {
                kinds: of_seeds(self.dataset, self._predictions(model, kinds, by)) for kinds in ("rs_dos", "is_dos")
            }
            rows.append(
                {
                    "name": model,
                    "title": TITLES[model],
                    "RS2RE": trained["rs_dos"]["RS2RE"],
                    "IS2RE": trained["rs_dos"]["IS2RE"],
                    "IS2RE_trained_on_IS": trained["is_dos"]["IS2RE"],
                }
            )
        for name in self.potentials:
            said = of_seeds(self.dataset, [self._of_potential(name, f"{by}-{seed}") for seed in self.seeds])
            rows.append(
                {"name": name, "title": name, "RS2RE": None, "IS2RE": said["IS2RE"], "IS2RE_trained_on_IS": None}
            )
        return rows

    def _costs(self) -> list[dict[str, Any]]:
        """Return CPU-s of one prediction from an unrelaxed crystal, including the IS-DOS if it is needed."""
        dos, rows = dos_cost(self.dataset), []
        for model in self.models:
            found = [
                result
                for seed in self.seeds
                if (
                    result := self.results.read(
                        Training(model=model, kinds="rs_dos", split=f"random-{seed}", seed=seed)
                    )
                )
            ]
            alone = interval(result.get("predict_cpu_s") for result in found)
            trained = interval(result.get("cpu_s") for result in found)
            price = dos if needs_dos(model) else 0.0
            total = None if price is None else price + (alone["mean"] if alone else 0.0)
            rows.append(
                {"title": TITLES[model], "dos": price, "model": alone and alone["mean"], "total": total,
                 "training": trained and trained["mean"]}
            )  # fmt: skip
        for name, said in self.potentials.items():
            cost = interval(row["cpu_s"] for row in said.values())
            price = dos if POTENTIALS[name].needs_dos else 0.0
            total = None if price is None or cost is None else price + cost["mean"]
            rows.append({"title": name, "dos": price, "model": cost and cost["mean"], "total": total,
                         "training": None})  # fmt: skip
        return rows

    def _curves(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        total = n_compounds(self.dataset, self.splits["random-1"])
        for model in self.models:
            points = []
            for size in [*curve_sizes(total), None]:
                said = of_seeds(self.dataset, self._predictions(model, "rs_dos", "random", n_train=size))["IS2RE"]
                if said is not None:
                    points.append({"n_train": size or total, "mae": said["mae"]})
            if len(points) > 1:
                found[TITLES[model]] = points
        return found

    def _ablation(self) -> list[dict[str, Any]]:
        if "esnet" not in self.models:
            return []
        return [
            {"inputs": inputs, **of_seeds(self.dataset, self._predictions("esnet", "rs_dos", "random", inputs=inputs))}
            for inputs in ("both", "dos", "composition", "none")
        ]

    def _residual(self) -> list[dict[str, Any]]:
        """Return the errors of each scorer without training, alone and with models that have learnt its error."""
        rows = []
        for base in (name for name in RESIDUAL_BASES if name in self.potentials):
            for by in ("random", "chemsys"):
                alone = [self._of_potential(base, f"{by}-{seed}") for seed in self.seeds]
                found = {"alone": of_seeds(self.dataset, alone)["IS2RE"]}
                for model in (name for name in self.models if name in RESIDUAL_MODELS):
                    learnt = self._predictions(model, "is_dos", by, residual_of=base)
                    found[TITLES[model]] = of_seeds(self.dataset, learnt)["IS2RE"]
                rows.append({"base": base, "by": by, "models": found})
        return rows

    def _elements(self) -> list[dict[str, Any]]:
        rows = []
        for name in self.splits:
            by, _, element = name.partition("-")
            if by != "element":
                continue
            errors: dict[str, Any] = {}
            n_test = 0
            for model in (model for model in self.models if model in ELEMENT_MODELS):
                said = self._said(Training(model=model, kinds="rs_dos", split=name, seed=1))
                found = of_seeds(self.dataset, [said])["IS2RE"]
                errors[TITLES[model]] = found and found["mae"]["mean"]
                n_test = max(n_test, found["n_test"][0] if found else 0)
            for potential in self.potentials:
                found = of_seeds(self.dataset, [self._of_potential(potential, name)])["IS2RE"]
                errors[potential] = found and found["mae"]["mean"]
                n_test = max(n_test, found["n_test"][0] if found else 0)
            rows.append({"element": element, "n_test": n_test, "mae": errors})
        return rows

    def _problems(self) -> list[str]:
        """What could not be trained, each reason once for a model."""
        found = {}
        for model in self.models:
            for kinds in ("rs_dos", "is_dos"):
                for by in ("random", "chemsys"):
                    for seed in self.seeds:
                        said = self.results.read(Training(model=model, kinds=kinds, split=f"{by}-{seed}", seed=seed))
                        if said is not None and "problem" in said:
                            found[f"{TITLES[model]} on {kinds}: {said['problem']}"] = None
        return list(found)
