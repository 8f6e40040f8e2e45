"""ESNet: densities of states of unrelaxed crystals in, formation energies of the relaxed ones out."""

TYPE_CHECKING = False  # typing's own, without the time that importing it takes

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Look up ``__version__`` when it is asked for; `pyproject.toml` is the only place that states it."""
        if name != "__version__":
            raise AttributeError(f"the package has no attribute {name!r}")
        from importlib.metadata import version

        return version("esnet-campaign")
