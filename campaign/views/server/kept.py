"""Cache of what is built from campaigns for the browser, since a large campaign changes all the time."""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from campaign.store.campaigns import campaign_exists
from campaign.store.collections import CampaignStore

T = TypeVar("T")

#: Nothing is made again before ten times the time that making it took.
_REST = 10.0
#: A failure before that time is retried at the next request.
_SOON_S = 1.0


@dataclass(frozen=True)
class _Kept(Generic[T]):
    made: T
    not_before: float


class KeptByCampaign(Generic[T]):
    """Cache of one result per campaign; thread-safe. One thread makes the result while others wait for it.

    Parameters
    ----------
    make
        Function that makes the result from a campaign's name and the previous result or None, which it may return.
    least_s
        Seconds for which a result is always kept.
    """

    def __init__(self, store: CampaignStore, make: Callable[[str, T | None], T], *, least_s: float = 0.0) -> None:
        self._store = store
        self._make = make
        self._least_s = least_s
        self._kept: dict[str, _Kept[T]] = {}
        self._asking = threading.Lock()
        self._asked: dict[str, Future[T]] = {}
        self._failed_until: dict[str, float] = {}
        self._making: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def get_soon(self, name: str, *, wait_s: float) -> T | None:
        """Return the result of `get` if it takes at most `wait_s`, otherwise the previous one, or None.

        The result is always completed, once for all concurrent requests.
        """
        with self._asking:
            future = self._asked.get(name)
            if future is None or self._failed_until.get(name, math.inf) < time.monotonic():
                self._failed_until.pop(name, None)
                future = self._asked[name] = Future()
                # a daemon thread, so that stopping the server does not wait for a page
                threading.Thread(target=self._get_into, args=(future, name), daemon=True).start()
        try:
            return future.result(timeout=wait_s)
        except TimeoutError:
            kept = self._kept.get(name)
            return None if kept is None else kept.made

    def _get_into(self, future: Future[T], name: str) -> None:
        began = time.monotonic()
        try:
            future.set_result(self.get(name))
        except BaseException as error:  # noqa: BLE001 - it is raised by the process that asked
            future.set_exception(error)
        with self._asking:
            took = time.monotonic() - began
            if future.exception() is not None and took > _SOON_S:
                self._failed_until[name] = began + (1.0 + _REST) * took  # as long as a page would be kept
            else:
                del self._asked[name]

    def get(self, name: str) -> T:
        """Return the cached result of a campaign, or make it.

        Raises
        ------
        UnknownCampaignError
            If there is no campaign of that name.
        """
        if not campaign_exists(self._store, name):
            # nothing is locked or kept for arbitrary names; `make` raises the error
            return self._make(name, None)
        with self._making[name]:
            kept = self._kept.get(name)
            if kept is not None and time.monotonic() < kept.not_before:
                return kept.made
            began = time.monotonic()
            made = self._make(name, None if kept is None else kept.made)
            if kept is None or made is not kept.made:
                ended = time.monotonic()
                self._kept[name] = _Kept(made, ended + max(_REST * (ended - began), self._least_s))
            return made
