"""A real chromium for tests of pages; without one they are skipped, saying so."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

#: Names under which distributions install it.
_NAMES = ("chromium", "chromium-browser", "google-chrome")
#: A busy machine takes its time.
_PATIENCE_S = 300.0


@contextmanager
def chromium() -> Iterator[Any]:
    """Start it, and end it after the block."""
    executable = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is not installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=executable, args=["--no-sandbox"], timeout=1000 * _PATIENCE_S)
        try:
            yield browser
        finally:
            browser.close()


class Page:
    """A page in a browser of some width, light or dark, with everything that went wrong in it."""

    def __init__(self, browser: Any, url: str, *, width: int = 1400, dark: bool = False) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", accept_downloads=True
        )
        self.context.set_default_timeout(1000 * _PATIENCE_S)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(url)
        tables = "document.querySelectorAll('table.display:not([data-made])').length === 0"
        self.wait_for(f"document.getElementById('waiting') === null && {tables}")

    def draw_all(self) -> dict[str, str | None]:
        """Scroll through the page, so that every figure is drawn; return what each says of itself."""
        for plot in self.page.query_selector_all(".plot"):
            plot.scroll_into_view_if_needed()
        self.wait_for("document.querySelectorAll('.plot:not([data-drawn])').length === 0")
        found = self.page.query_selector_all(".plot")
        return {plot.get_attribute("data-figure"): plot.get_attribute("data-drawn") for plot in found}

    def evaluate(self, script: str) -> Any:
        """Run a script in the page and return what it gives."""
        return self.page.evaluate(script)

    def wait_for(self, condition: str, *, seconds: float = _PATIENCE_S) -> None:
        """Ask a page until something is true; playwright's own waiting is what the page's security policy forbids."""
        from playwright.sync_api import Error

        ends = time.monotonic() + seconds
        while True:
            try:
                if self.page.evaluate(f"Boolean({condition})"):
                    return
            except Error as error:
                if "context was destroyed" not in str(error):  # a page that loads itself again
                    raise
            assert time.monotonic() < ends, f"not after {seconds:g} s: {condition}"
            self.page.wait_for_timeout(50)
