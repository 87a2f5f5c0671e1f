"""A browser for the tests of the worker's page, and a person in front of it who notices every error."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ui.person import Person, Windows

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "ui-screenshots"


@pytest.fixture(scope="session")
def windows():
    """The windows of the system's Chromium, for the whole run."""
    if CHROMIUM is None:
        pytest.skip(
            "NOT TESTED: the worker's page, because there is no Chromium; try: apt-get install chromium"
        )
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="NOT TESTED: the worker's page; try: pip install playwright"
    )
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield Windows(chromium)
        chromium.close()


@pytest.fixture
def person(windows, tmp_path, request) -> Iterator[Callable[..., Person]]:
    """Opens portals as `Person(…)`; an error on a page or in its console fails the test."""
    people: list[Person] = []

    def open_portal(*arguments: object, **options: object) -> Person:
        made = Person(windows, tmp_path / str(len(people)), SCREENSHOTS, *arguments, **options)
        people.append(made)
        return made

    yield open_portal
    errors = [error for each in people for error in each.leave()]
    assert not errors, "\n".join(errors)
    assert people or "person" not in request.fixturenames, "the test asked for a person and opened no page"
