"""Policies written as text, on the command line and in Python: ``thresholds`` or ``probability:p=0.3``."""

import re
from typing import Any

from ruamel.yaml.error import YAMLError

from campaign.config.yaml_file import load_yaml
from campaign.policies.base import Policy
from campaign.spec.reader import read_policy
from esnet.files.errors import UserError

_EXAMPLE = "right: the name of a policy, optionally with settings, e.g. probability:p=0.3,uncertainty=0.27"
# commas, except those inside a list or mapping
_COMMA = re.compile(r",(?![^\[{]*[\]}])")


class PolicyTextError(UserError, ValueError):
    """The text does not describe a policy; the message says why."""


def parse_policy(text: str) -> Policy:
    """Parse a policy.

    Parameters
    ----------
    text
        ``kind``, or ``kind:key=value,key=value``; values as in a campaign file (``0.3``, ``null``, ``[a, b]``).

    Raises
    ------
    PolicyTextError
        Lists all problems: an unknown policy, an unknown or missing setting, a wrong value.
    """
    kind, _, rest = text.partition(":")
    settings: dict[str, Any] = {"kind": kind.strip()}
    problems: list[str] = []
    for part in _COMMA.split(rest) if rest.strip() else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            problems.append(f"found {part.strip()!r} instead of key=value")
        elif key in settings:
            remedy = "the name of the policy is given before the colon" if key == "kind" else "give it once"
            problems.append(f"{key}: {'is given twice; ' if key != 'kind' else ''}{remedy}")
        else:
            settings[key] = _value(value)
    policy, wrong = read_policy(settings)
    if problems or wrong:
        raise PolicyTextError(f"policy {text!r}: {'; '.join([*problems, *wrong])} ({_EXAMPLE})")
    return policy


def _value(text: str) -> Any:
    try:
        return load_yaml(text)
    except (YAMLError, ValueError):
        return text  # the setting's own check reports what would be right
