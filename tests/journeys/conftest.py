"""A real browser in front of the portal. It fails on what a person would not see: console errors, CSP, other hosts."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from tests.factories.lago import lago, lago_process  # noqa: F401 - fixtures
from tests.journeys.stack import portal  # noqa: F401

CHROMIUM = next(
    (
        path
        for path in ("/usr/bin/chromium", shutil.which("chromium-browser"))
        if path and Path(path).exists()
    ),
    None,
)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ""}`));
"""


@pytest.fixture(scope="session", autouse=True)
def _everybody_is_gone(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let go of the database once nobody else is in it: the live server's last threads close theirs a moment later."""
    yield
    until = time.monotonic() + 10
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if cursor.fetchone() == (0,):
                return
            time.sleep(0.1)


@pytest.fixture
def browser(live_server: Any) -> Iterator[Browser]:
    """Start Chromium for one test. A test names its world before its browser, and asks the database nothing after:

    Playwright keeps an event loop running in this thread, in which Django refuses to touch a database.
    """
    if CHROMIUM is None:
        reason = "no Chromium at /usr/bin/chromium (Debian: apt-get install chromium)"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(f"REQUIRE_BROWSER=1, but {reason}")
        pytest.skip(reason)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


@dataclass
class Visitor:
    """One person with a browser of their own; `complaints` is what went wrong behind the pages."""

    browser: Browser
    address: str
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    may_also_visit: set[str] = field(default_factory=set)
    """Addresses that a link leads to on purpose: the page where one pays. Portal pages may still load nothing from there."""

    are_refusals_meant: bool = False
    """Whether pages are asked for that answer 403 or 404, which the browser's console tells as errors."""

    def opens(
        self, *, width: int = 1280, scheme: str = "light", scripts: bool = True, cookies: Any = ()
    ) -> Page:
        context = self.browser.new_context(
            base_url=self.address,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=scripts,
        )
        self.contexts.append(context)
        if cookies:
            context.add_cookies(list(cookies))
        page = context.new_page()
        page.add_init_script(REPORT_VIOLATIONS)
        page.on(
            "console", lambda message: self._note(f"console: {message.text}", when=message.type == "error")
        )
        page.on("pageerror", lambda error: self._note(f"script: {error}"))
        page.on(
            "request",
            lambda request: self._note(f"other host: {request.url}", when=self._is_foreign(request)),
        )
        return page

    def _is_foreign(self, request: Request) -> bool:
        asked, shown = (urlsplit(url).netloc for url in (request.url, request.frame.url))
        if asked == urlsplit(self.address).netloc:
            return False
        return asked not in self.may_also_visit or not (request.is_navigation_request() or shown == asked)

    def _note(self, complaint: str, *, when: bool = True) -> None:
        is_meant = self.are_refusals_meant and "responded with a status of 40" in complaint
        if when and not is_meant:
            self.complaints.append(complaint)


@pytest.fixture
def visitor(browser: Browser, live_server: Any) -> Iterator[Visitor]:
    someone = Visitor(browser=browser, address=live_server.url)
    yield someone
    for context in someone.contexts:
        context.close()
    assert someone.complaints == []
