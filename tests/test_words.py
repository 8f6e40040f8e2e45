"""The words of docs/words.txt stay out of what people read first: README, CONTRIBUTING, docs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STYLE = ROOT / "docs" / "words.txt"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST_WORDS = 1500
#: Pages that are mostly tables made by programs, or shown from elsewhere.
LONG = {"docs/reference/campaign-file.md", "docs/explanation/leaderboard.md", "docs/explanation/choosing-tables.md"}


def words() -> dict[str, str]:
    """Better words by the word that is not used."""
    lines = [line for line in STYLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("\t") for line in lines)


def found_in(text: str) -> list[str]:
    """Lines of a text with such a word, outside of code, each with the better one."""
    prose = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    return [
        f"{word!r} (better: {better}) in: {line.strip()[:160]}"
        for word, better in words().items()
        for line in prose.splitlines()
        if re.search(rf"\b{re.escape(word)}\b", line, flags=re.IGNORECASE)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_none_of_the_words(page):
    assert not found_in(page.read_text(encoding="utf-8"))


def test_the_words_are_found_in_prose_and_not_in_code():
    assert found_in("It Goes on.") != []
    assert found_in("`goes on`\n```\ngoes on\n```\n") == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_no_longer_than_people_read(page):
    if str(page.relative_to(ROOT)) not in LONG | {"CONTRIBUTING.md"}:
        assert len(page.read_text(encoding="utf-8").split()) <= MOST_WORDS, "split it at a natural place"
