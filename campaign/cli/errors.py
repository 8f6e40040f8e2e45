"""Errors that a user can mend: shown as one message, without a traceback."""

from __future__ import annotations


def is_user_error(error: BaseException) -> bool:
    """Whether the message of an error says all that a user needs."""
    from campaign.candidates.elements import ElementError
    from campaign.candidates.structure_files import StructureFileError
    from campaign.config.yaml_file import CampaignFileError
    from campaign.hull.hull import MissingElementError
    from campaign.scheduling.workflows import LaunchPadNotReadyError
    from campaign.steps.start import BootstrapSizeError, CampaignExistsError
    from campaign.store.campaigns import UnknownCampaignError
    from esnet.files.errors import UserError
    from launchers.cluster.errors import ClusterError
    from launchers.database.errors import DatabaseError
    from launchers.workers.local import WorkersDieError

    mendable = (
        BootstrapSizeError,
        CampaignFileError,
        CampaignExistsError,
        ClusterError,
        DatabaseError,
        ElementError,
        LaunchPadNotReadyError,
        MissingElementError,
        StructureFileError,
        UnknownCampaignError,
        UserError,
        WorkersDieError,
    )
    return isinstance(error, mendable)


def lost_database(error: BaseException) -> str | None:
    """What to say of a database that went away in the middle of a command; None for other errors."""
    from pymongo.errors import ConnectionFailure

    if not isinstance(error, ConnectionFailure):
        return None
    return (
        "the database stopped answering. See `campaign db status`; when it runs again, the same command goes on "
        "where it was"
    )
