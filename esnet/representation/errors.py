"""What is wrong with features."""

from esnet.files.errors import UserError


class FeatureError(UserError, ValueError):
    """Features that the network cannot take; the message names the array or the candidate."""


class RepresentationError(UserError, ValueError):
    """Features were asked for, or given, in another representation than the model's."""
