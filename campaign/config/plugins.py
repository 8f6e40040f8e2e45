"""Classes that a campaign file chooses by ``kind``: shipped ones, and those of other packages."""

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
        Name of such a class in messages.
    base
        Common base class.
    shipped
        Shipped classes by name; another package cannot replace them.
    group
        Entry-point group for classes of other packages.
    unknown
        Error raised for an unknown name.
    renamed
        Names of earlier versions, still accepted, with their present names.
    implied
        Fields that imply the kind if ``kind`` is absent, with that kind.
    lists
        Kinds with a field that is a list of objects of other classes, with that field and those classes.
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
        """Names of all classes, the shipped ones first."""
        return [*self.shipped, *sorted({entry.name for entry in entry_points(group=self.group)} - set(self.shipped))]

    def current(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings with the present name of their ``kind``, added if a field implies it."""
        kind = settings.get("kind")
        if kind is None and (named := next((self.implied[key] for key in self.implied if key in settings), None)):
            return {**settings, "kind": named}
        if not isinstance(kind, str) or kind not in self.renamed:
            return dict(settings)
        return {**settings, "kind": self.renamed[kind]}

    def class_of(self, kind: str) -> type[Kind]:
        """Return the class of a name.

        Raises
        ------
        Exception
            `unknown`, listing the known names or naming an entry point that provides something else.
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
