"""Errors about features."""

from esnet.files.errors import UserError


class FeatureError(UserError, ValueError):
    """The features are not valid input of the network; the message names the array or the candidate."""


class RepresentationError(UserError, ValueError):
    """The representation of the features differs from that of the model."""
