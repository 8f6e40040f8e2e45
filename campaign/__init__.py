"""What to screen, and every decision about it: the campaign file, candidates, states, decisions and views."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:
    from esnet import __getattr__ as __getattr__  # looks up ``__version__`` when it is asked for
