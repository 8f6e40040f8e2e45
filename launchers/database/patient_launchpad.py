"""A LaunchPad that waits for its database when it records the end of a launch."""

import logging
from typing import Any

from fireworks import LaunchPad

from launchers.database.patience import patiently

logger = logging.getLogger(__name__)


class PatientLaunchPad(LaunchPad):  # type: ignore[misc, unused-ignore]
    """A LaunchPad whose records of a launch wait for the database, and ignore a deleted launch.

    Each of them may be written twice.
    """

    def ping_launch(self, launch_id: int, *arguments: Any, **options: Any) -> None:
        """Record that a launch is alive."""
        self._note(launch_id, "ping_launch", *arguments, **options)

    def complete_launch(self, launch_id: int, *arguments: Any, **options: Any) -> Any:
        """Record how a launch ended."""
        return self._note(launch_id, "complete_launch", *arguments, **options)

    def _note(self, launch_id: int, method: str, *arguments: Any, **options: Any) -> Any:
        write = getattr(super(), method)
        try:
            return patiently(lambda: write(launch_id, *arguments, **options))
        except ValueError:
            if patiently(lambda: self.launches.find_one({"launch_id": launch_id}, ["_id"])) is not None:
                raise
            logger.warning("launch %d was deleted from the LaunchPad while it ran: its end is not noted", launch_id)
            return None


def make_patient(launchpad: Any) -> None:
    """Make the LaunchPad of a running `rlaunch` patient; subclasses (packed jobs) are unchanged."""
    if type(launchpad) is LaunchPad:
        launchpad.__class__ = PatientLaunchPad
