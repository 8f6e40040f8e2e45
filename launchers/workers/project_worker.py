"""The FireWorker of a project, which takes a campaign's fireworks if others work in the same database."""

from pathlib import Path
from typing import Any

from fireworks import FWorker
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

FILE_NAME = "my_fworker.yaml"
_NAME = "esnet-campaign"
_TEXT = f"""\
# FireWorker of this project: `rlaunch` and `qlaunch` in this folder read it beside my_launchpad.yaml.
# Campaigns in a database that others work in are for workers of this name alone (docs/how-to/cluster.md).
name: {_NAME}
category: ''
query: '{{}}'
env: {{}}
"""


class CampaignWorker(FWorker):  # type: ignore[misc, unused-ignore]
    """A worker that can also take fireworks of campaigns assigned to another worker, since it has this package."""

    @classmethod
    def of(cls, worker: FWorker) -> "CampaignWorker":
        """Return a worker of the same name, category and query."""
        return cls(worker.name, worker.category, worker._query, worker.env)

    @property
    def query(self) -> dict[str, Any]:
        """Return the MongoDB filter of the fireworks that it takes."""
        # FireWorks appends its condition on the name to the worker's own query
        own: dict[str, Any] = {**self._query, "$and": list(self._query.get("$and", []))}
        named: dict[str, Any] = FWorker(self.name, self.category).query
        by_name = [*named.pop("$or"), {"spec.campaign_name": {"$exists": True}}]
        if "$or" in own:
            own["$and"].append({"$or": own.pop("$or")})
        own["$and"].append({"$or": by_name})
        return own | named


def project_worker_name(folder: Path) -> tuple[str, Path, bool]:
    """Return the name in a folder's `my_fworker.yaml`, writing the file if it is missing.

    Returns
    -------
    name, path, written
        Name, path of the file, and whether it was written. A file without a name is unchanged, and the project's own
        name is returned.
    """
    path = folder / FILE_NAME
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEXT)
    except FileExistsError:
        try:
            content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, YAMLError):
            content = None
        name = content.get("name") if isinstance(content, dict) else None
        return str(name or _NAME), path, False
    return _NAME, path, True
