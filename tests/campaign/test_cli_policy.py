"""A policy written on the command line is the one that a campaign file would give, and mistakes are named."""

import pytest

from campaign.policies.best_first import BestFirst
from campaign.policies.probability import Probability
from campaign.policies.thresholds import Thresholds
from campaign.spec.policy_text import PolicyTextError, parse_policy


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("thresholds", Thresholds()),
        ("thresholds:", Thresholds()),
        ("thresholds:max_hull_energy=-1e-2", Thresholds(max_hull_energy=-0.01)),
        ("probability:p=0.3,uncertainty=0.27", Probability(p=0.3, uncertainty=0.27)),
        (" probability : p = 0.3 , uncertainty = null ", Probability(p=0.3)),
        ("best_first:cpu_hours=100,audit=0.05", BestFirst(cpu_hours=100.0, audit=0.05)),
    ],
)
def test_the_text_gives_the_policy_that_a_campaign_file_would_give(text, policy):
    assert parse_policy(text) == policy


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("guess", ["kind: found 'guess'", "one of thresholds, best_first, probability, expected_yield"]),
        ("", ["kind: found ''", "thresholds"]),
        ("p=0.3", ["kind: found 'p=0.3'"]),
        ("probability:q=0.3", ["q: unknown key", "known here: kind, audit, novel, max_formation_energy"]),
        ("probability:p=1.5", ["p: found 1.5", "less than 1"]),
        ("probability:p=often", ["p: found 'often'", "a number"]),
        ("probability:p=.nan", ["p: found nan", "finite number"]),
        ("probability:p=[0.1,0.2]", ["p: found [0.1, 0.2]", "a number"]),
        ("probability:p=[0.1", ["p: found '[0.1'"]),
        ("best_first", ["cpu_hours: is missing"]),
        ("thresholds:audit", ["found 'audit' instead of key=value"]),
        ("thresholds:audit=", ["found 'audit=' instead of key=value"]),
        ("thresholds:audit=0.1,audit=0.2", ["audit: is given twice"]),
        ("thresholds:kind=budget", ["kind: the name of the policy is given before the colon"]),
        ("probability:p=2,q=1", ["p: found 2", "q: unknown key"]),
    ],
)
def test_what_is_wrong_is_named_with_the_setting_and_what_would_be_right(text, messages):
    with pytest.raises(PolicyTextError) as found:
        parse_policy(text)
    assert repr(text) in str(found.value)
    for message in messages:
        assert message in str(found.value)
