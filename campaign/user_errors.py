"""Errors that a user can mend: shown as one message, without a traceback."""

from __future__ import annotations


def is_user_error(error: BaseException) -> bool:
    """Whether the message of an error says all that a user needs."""
    from campaign.campaign_file import CampaignFileError
    from campaign.decisions.hull import MissingElementError
    from campaign.elements import ElementError
    from campaign.execution.fireworks import LaunchPadNotReadyError
    from campaign.execution.start import BootstrapSizeError, CampaignExistsError
    from campaign.loading import UnknownCampaignError
    from campaign.structure_files import StructureFileError
    from esnet.errors import UserError
    from launchers.cluster.errors import ClusterError
    from launchers.errors import DatabaseError
    from launchers.local import WorkersDieError

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
