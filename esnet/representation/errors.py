"""Errors about features."""

from esnet.files.errors import UserError


class FeatureError(UserError, ValueError):
    """The network cannot take the features; the message names the array or the candidate."""


class RepresentationError(UserError, ValueError):
    """The representation of features differs from the model's."""
