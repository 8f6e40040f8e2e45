"""The shipped prototypes and the built-in crystals of the elements as Markdown tables."""

from __future__ import annotations


def prototype_table() -> str:
    """A row for each shipped prototype, in the order of the file."""
    from campaign.candidates.prototypes import shipped_prototypes

    head = "| name | compound | also | Pearson symbol, space group | atoms | Wyckoff positions | AFLOW |\n"
    rows = [
        f"| {name} | {prototype.compound} | {', '.join(prototype.also)} | "
        f"{prototype.pearson}, {prototype.space_group} | "
        f"{len(prototype.structure())} | {', '.join(f'{site.element} {site.wyckoff}' for site in prototype.sites)} | "
        f"`{prototype.aflow}` |"
        for name, prototype in shipped_prototypes().items()
    ]
    return head + "| --- | --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"


def element_table() -> str:
    """A row for each built-in crystal of `elements.yaml`."""
    from campaign.candidates.elements import listed_elements, reference_structure

    head = "| element | crystal | space group | atoms | cell from | initial moments, Bohr magnetons |\n"
    rows = [
        f"| {symbol} | {entry['name']} | {entry['space_group']} | {len(reference_structure(symbol))} | "
        f"{entry['source']} | {', '.join(f'{moment:g}' for moment in entry.get('moments', ()))} |"
        for symbol, entry in listed_elements().items()
    ]
    return head + "| --- | --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
