"""Classes that a campaign file chooses by ``kind``: those that ship, and those that other packages bring."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from campaign.config.strict_model import StrictModel

Kind = TypeVar("Kind", bound=StrictModel)


@dataclass(frozen=True, kw_only=True)
class Kinds(Generic[Kind]):
    """The classes of one section.

    Attributes
    ----------
    noun
        What they are, in messages.
    base
        The class that all of them derive from.
    shipped
        Ours by their names; another package cannot replace them.
    group
        Entry-point group of those that other packages bring.
    unknown
        Error for a name that means none.
    renamed
        Names of earlier versions, and what they are called now; they are still read.
    implied
        Fields that name the kind where ``kind`` is left out, and the kind that each names.
    lists
        Kinds with a field that is a list of what other classes make, that field, and those classes.
    """

    noun: str
    base: type[Kind]
    shipped: Mapping[str, type[Kind]]
    group: str
    unknown: type[Exception]
    renamed: Mapping[str, str] = field(default_factory=dict)
    implied: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, "Kinds[Any]"]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Names of all, the shipped ones first."""
        return [*self.shipped, *sorted({entry.name for entry in entry_points(group=self.group)} - set(self.shipped))]

    def current(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with the present name of their ``kind``, also where only a field of theirs says which it is."""
        kind = settings.get("kind")
        if kind is None and (named := next((self.implied[key] for key in self.implied if key in settings), None)):
            return {**settings, "kind": named}
        if not isinstance(kind, str) or kind not in self.renamed:
            return dict(settings)
        return {**settings, "kind": self.renamed[kind]}

    def class_of(self, kind: str) -> type[Kind]:
        """Class by its name.

        Raises
        ------
        Exception
            `unknown`, naming those that there are, or the entry point that names something else.
        """
        if kind in self.shipped:
            return self.shipped[kind]
        for entry in entry_points(group=self.group, name=kind):
            found = entry.load()
            if not (isinstance(found, type) and issubclass(found, self.base)):
                raise self.unknown(
                    f"the entry point {kind!r} of {self.group} is {entry.value}, which is not a {self.base.__name__}"
                )
            return found
        raise self.unknown(f"there is no {self.noun} named {kind!r}; right: one of {', '.join(self.names())}")
