"""The command `campaign example`: the campaign files of the folder examples/, included in every installation."""

from importlib.resources import files
from itertools import takewhile
from pathlib import Path

from esnet.commands.console import console, print_labelled, print_plain
from esnet.files.atomic import write_whole
from esnet.files.errors import UserError


def example(*, name: str | None, output: Path | None) -> None:
    """Write an example campaign file to begin with; without a name, list the examples."""
    out = console()
    found = _examples()
    if name is None:
        width = max(map(len, found))
        for each, text in found.items():
            print_labelled(out, f"{each:{width}}", _first_sentence(text))
        return
    if name not in found:
        raise UserError(f"example {name}: no such example; there are {', '.join(found)}")
    file = output or Path(f"{name}.yaml")
    if file.exists():
        raise UserError(f"{file} exists: give another file with --output, or remove it")
    file.parent.mkdir(parents=True, exist_ok=True)
    # the comments contain the file's path in the repository
    write_whole(file, found[name].replace(f"examples/{name}.yaml", str(file)))
    print_plain(out, f"wrote {file}; next: campaign check {file}")


def _examples() -> dict[str, str]:
    """Return the text of each example by its name, quickstart first."""
    found = {file.name.removesuffix(".yaml"): file for file in files("campaign").joinpath("examples").iterdir()}
    return {name: found[name].read_text() for name in sorted(found, key=lambda name: (name != "quickstart", name))}


def _first_sentence(text: str) -> str:
    comment = takewhile(lambda line: line.startswith("# "), text.splitlines())
    return " ".join(line.removeprefix("# ") for line in comment).split(". ")[0].rstrip(".")
