"""Check that features and outputs of finished calculations exist once, and none without their candidate."""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping

from campaign.attempts.outputs import output_uuids
from campaign.store import integrity
from campaign.store.campaigns import Campaign
from campaign.store.features import features_of_campaign
from campaign.verification.finding import Finding
from campaign.verification.records import Calculation, Records
from workflows.dos import DosFeatures

_FEATURES = "each finished DOS has its features, and none are without their candidate"
_DAMAGED = "features are as their checksums say"
_OUTPUTS = "each finished calculation has its outputs in the JobStore, once and whole"


def _features_id(calculation: Calculation) -> str:
    return f"{calculation.document}:{calculation.stage.name}"


class Data:
    """Features and outputs of a campaign.

    Attributes
    ----------
    features, outputs
        Number of features, and of outputs of finished calculations.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.features = self.outputs = 0
        self._campaign = campaign

    def check(self, records: Records, *, read_features: bool) -> Iterator[Finding]:
        """Check that everything exists; with `read_features` also the content of each features document."""
        done = [each for each in records.calculations if each.done and (each.fw_id or each.reused_from)]
        yield from self._check_features(done, records.roles)
        yield from self._check_outputs(done)
        if read_features:
            yield from self._read_features()

    def _check_features(self, done: list[Calculation], roles: Mapping[str, str]) -> Iterator[Finding]:
        campaign = self._campaign
        expected = {_features_id(calculation): calculation for calculation in done if calculation.stage.name != "relax"}
        self.features = integrity.count_features(campaign)
        present = set(integrity.features_present(campaign.store, expected))
        for name in expected.keys() - present:
            yield self._wrong(
                _FEATURES,
                name,
                "its DOS is done, and its features are not there",
                f"campaign reconcile {campaign.name} (takes them from the JobStore again)",
            )
        if self.features > len(present):
            for name in set(integrity.features_ids(campaign)) - expected.keys():
                # features of a DOS computed again exist before it is done
                if (document := name.rpartition(":")[0]) not in roles:
                    problem = f"they are of {document}, which is not in this campaign"
                    yield self._wrong(_FEATURES, name, problem, f"campaign failures {campaign.name}")

    def _check_outputs(self, done: list[Calculation]) -> Iterator[Finding]:
        campaign = self._campaign
        jobs = {
            uuid: (each, job)
            for each in done
            for job, uuid in output_uuids(each.document, each.stage, each._asdict()).items()
        }
        present = Counter(integrity.outputs_present(campaign.store, jobs))
        self.outputs = sum(present.values())
        for uuid, (calculation, job) in jobs.items():
            if present[uuid] != 1:
                yield self._wrong(
                    _OUTPUTS,
                    f"{calculation.title}: {job}",
                    f"{present[uuid]} outputs of the job {uuid}, right: 1 (what was recorded of it stays valid)",
                    self._shown(),
                )
        for uuid in integrity.incomplete_data_files(campaign.store):
            if uuid in jobs:
                calculation, job = jobs[uuid]
                yield self._wrong(
                    _OUTPUTS,
                    f"{calculation.title}: {job}, in GridFS",
                    f"chunks of a large object of the job {uuid} are lost (its features are kept apart from it)",
                    self._shown(),
                )

    def _read_features(self) -> Iterator[Finding]:
        for document in features_of_campaign(self._campaign):
            try:
                DosFeatures.from_document(document).decode()
            except (KeyError, TypeError, ValueError, zlib.error) as error:
                yield self._wrong(
                    _DAMAGED,
                    document["_id"],
                    f"they lack the field {error}" if isinstance(error, KeyError) else str(error),
                    f"campaign reconcile {self._campaign.name} (takes them from the JobStore again)",
                )

    def _shown(self) -> str:
        return "mongorestore --nsInclude='DATABASE.*' BACKUP (documents that are there are left as they are)"

    def _wrong(self, check: str, subject: str, problem: str, remedy: str) -> Finding:
        return Finding(check=check, subject=subject, problem=problem, remedy=remedy)
