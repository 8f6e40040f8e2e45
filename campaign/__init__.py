"""What to screen, and every decision about it: the campaign file, candidates, states, decisions and views."""

TYPE_CHECKING = False  # typing's own, without the time that importing it takes

if TYPE_CHECKING:
    __version__: str
else:
    from esnet import __getattr__ as __getattr__  # looks up ``__version__`` when it is asked for
