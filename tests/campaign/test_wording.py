"""Numbers and their nouns in messages, and what a progress line says of the model."""

import pytest
from prepared import with_model

from campaign.config.wording import format_count
from campaign.store.campaigns import Campaign
from campaign.views.status.progress import format_progress
from campaign.views.status.run_view import RunWatch


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (1, "failed attempt", "1 failed attempt"),
        (0, "candidate", "0 candidates"),
        (2, "process", "2 processes"),
        (7, "IS-DOS", "7 IS-DOS"),
    ],
)
def test_a_noun_is_in_the_plural_unless_there_is_one(number, noun, text):
    assert format_count(number, noun) == text


def test_an_irregular_plural_can_be_given():
    assert format_count(2, "entry", "entries") == "2 entries"
    assert format_count(1, "entry", "entries") == "1 entry"


@pytest.mark.mongo
@pytest.mark.parametrize(("source", "said"), [("bundle", "model given"), ("bootstrap", "model trained")])
def test_a_given_model_is_not_called_trained(store, launchpad, small_spec, source, said):
    name = with_model(store, launchpad, small_spec())
    store.campaigns.update_one({"_id": name}, {"$set": {"model.source": source}})
    assert said in format_progress(RunWatch().look(Campaign.read(store, name))).split(" | ")
