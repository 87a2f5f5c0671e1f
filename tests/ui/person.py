"""A person at the worker's page: opens a template, uses mouse, keyboard and fingers, and sends answers."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from worker_ui.preview import PreviewPortal
from worker_ui.server import PortalServer

IMAGE_URI = "s3://amzn-s3-demo-bucket/images/one.png"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 780}
CROWD = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'
INSTRUCTIONS = (
    '<short-instructions><p id="short">Look closely.</p></short-instructions>'
    '<full-instructions header="All of it"><p id="full">Everything.</p></full-instructions>'
)


def png(pixels: np.ndarray) -> bytes:
    """An array [height, width, 3] of uint8 as a PNG file."""
    output = io.BytesIO()
    Image.fromarray(pixels).save(output, "PNG")
    return output.getvalue()


def picture(width: int = 200, height: int = 120) -> bytes:
    """A grey picture with a red rectangle: columns 50 to 99, rows 30 to 69."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[30:70, 50:100] = (255, 0, 0)
    return png(pixels)


def decoded(answer: Mapping[str, Any]) -> np.ndarray:
    """The mask of an answer as RGBA [height, width, 4]."""
    data = base64.b64decode(answer["labeledImage"]["pngImageData"], validate=True)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGBA"))


def index_mask(answer: Mapping[str, Any], labels: Sequence[str]) -> np.ndarray:
    """The mask of an answer as indices [height, width]: 0 background, i + 1 label i; no other colours."""
    rgba = decoded(answer)
    assert rgba.shape[:2] == (
        answer["inputImageProperties"]["height"],
        answer["inputImageProperties"]["width"],
    )
    mask = np.full(rgba.shape[:2], -1)
    mask[rgba[..., 3] == 0] = 0
    for label, mapping in answer["labelMappings"].items():
        color = [int(mapping["color"][at : at + 2], 16) for at in (1, 3, 5)]
        mask[(rgba[..., :3] == color).all(-1) & (rgba[..., 3] == 255)] = labels.index(label) + 1
    assert (mask >= 0).all(), f"{(mask < 0).sum()} pixels have a colour of no label"
    return mask


class Windows:
    """Windows of a browser, used by one person after the other: a new one costs more than most tests.

    Every portal has a port of its own, so nothing that one person leaves behind is there for the next.
    """

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self._windows: dict[tuple[Any, ...], Any] = {}

    def take(self, viewport: Mapping[str, int], touch: bool, language: str, dark: bool) -> Any:
        key = (viewport["width"], viewport["height"], touch, language, dark)
        if key not in self._windows:
            context = self._browser.new_context(
                viewport=dict(viewport),
                has_touch=touch,
                is_mobile=touch,
                locale=language,
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
            )
            context.set_default_timeout(10_000)
            self._windows[key] = context.new_page()
        return self._windows[key]


class Person:
    """Somebody in a browser window, with a portal of their own.

    Parameters
    ----------
    windows
        Where the window comes from.
    template
        The template's text without the script element, or the path of a template.
    inputs
        `task.input` of each task; one with `taskObject` and `labels` where none is given.
    objects
        S3 objects by URI, beside the picture of `IMAGE_URI`.
    """

    def __init__(
        self,
        windows: Windows,
        folder: Path,
        screenshots: Path,
        template: str | Path,
        *inputs: Mapping[str, Any],
        objects: Mapping[str, bytes] | None = None,
        viewport: Mapping[str, int] = DESKTOP,
        touch: bool = False,
        language: str = "en",
        dark: bool = False,
        start: bool = True,
        **options: Any,
    ) -> None:
        if isinstance(template, str):
            folder.mkdir(parents=True)
            path = folder / "template.liquid.html"
            path.write_text(f"{CROWD}\n{template}", "utf-8")
        else:
            path = template
        self.portal = PreviewPortal(
            path,
            inputs or [{"taskObject": IMAGE_URI, "labels": ["cat", "dog"]}],
            objects={IMAGE_URI: picture(), **(objects or {})},
            **options,
        )
        self._screenshots = screenshots
        self._server = PortalServer(self.portal)
        self._server.__enter__()
        self._errors: list[str] = []
        self.expected_errors: list[str] = []
        self.page = windows.take(viewport, touch, language, dark)
        for event, listener in self._listeners.items():
            self.page.on(event, listener)
        if start:
            self.page.goto(f"{self.url}#job=preview")
            self.wait()
        else:
            self.page.goto(self.url)
            self.page.locator(".job .button").wait_for()

    @property
    def _listeners(self) -> dict[str, Any]:
        return {
            "pageerror": self._on_page_error,
            "console": self._on_console,
            "requestfailed": self._on_request_failed,
        }

    def _on_page_error(self, error: Any) -> None:
        self._errors.append(f"page error: {error}")

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._errors.append(f"console: {message.text}")

    def _on_request_failed(self, request: Any) -> None:
        # What a page that is left was still loading is no error.
        if request.failure != "net::ERR_ABORTED":
            self._errors.append(f"failed: {request.url} {request.failure}")

    @property
    def url(self) -> str:
        return self._server.url

    def start(self) -> None:
        """Begin the first job's task."""
        self.page.locator(".job .button").click()
        self.wait()

    def wait(self) -> None:
        """Wait until the page of the task in hand is there and its picture loaded."""
        done = len(self.portal.answers) + len(self.portal.declined) + len(self.portal.returned)
        self.page.locator(f'iframe[src*="-{done + 1}?"]:not(.waiting)').wait_for()
        self.frame.locator("crowd-form").first.wait_for()
        for message in self.frame.locator(".stage-message").all():
            message.wait_for(state="hidden")

    @property
    def frame(self) -> Any:
        return self.page.frame_locator("iframe:not(.waiting)")

    def find(self, selector: str, **options: Any) -> Any:
        return self.frame.locator(selector, **options)

    def wait_for_draft(self) -> None:
        """Wait until the portal has kept a draft. (A policy without eval stops Playwright's own waiting.)"""
        deadline = time.monotonic() + 5
        while not self.page.evaluate(
            "Object.keys(localStorage).some((key) => key.startsWith('truthloop.draft'))"
        ):
            assert time.monotonic() < deadline, "no draft was kept"
            self.page.wait_for_timeout(50)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def submit(self, key: str | None = "Enter") -> Mapping[str, Any]:
        """Send the answer by a key, or by the button where there is none; returns what the portal got."""
        with self.page.expect_response("**/portal/api/submit") as response:
            if key:
                self.page.keyboard.press(key)
            else:
                self.find(".submit").click()
        assert response.value.status == 200
        return self.portal.answers[-1]

    def look(self, name: str) -> None:
        """Keep a screenshot."""
        self._screenshots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._screenshots / f"{name}.png")

    # ---- on the picture ----

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture, in its pixels, is on the screen."""
        place = self.find("[name][src]").first.evaluate(
            """(widget, [x, y]) => {
              const box = widget.stage.overlay.getBoundingClientRect();
              const [left, top] = widget.stage.toScreen(x, y);
              return [box.left + left, box.top + top];
            }""",
            [x, y],
        )
        frame = self.page.locator("iframe:not(.waiting)").bounding_box()
        return frame["x"] + place[0], frame["y"] + place[1]

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **options)

    def drag(self, start: tuple[float, float], end: tuple[float, float], button: str = "left") -> None:
        """Drag from one point of the picture to another."""
        mouse = self.page.mouse
        (from_x, from_y), (to_x, to_y) = self.at(*start), self.at(*end)
        mouse.move(from_x, from_y)
        mouse.down(button=button)
        mouse.move((from_x + to_x) / 2, (from_y + to_y) / 2)
        mouse.move(to_x, to_y)
        mouse.up(button=button)

    def scene(self) -> np.ndarray:
        """The stage as it looks on the screen, RGB [height, width, 3]."""
        with Image.open(io.BytesIO(self.find(".stage").screenshot())) as image:
            return np.asarray(image.convert("RGB"))

    def leave(self) -> list[str]:
        """Close everything; returns the errors that nobody expected."""
        errors = [error for error in self._errors if not any(part in error for part in self.expected_errors)]
        missing = [part for part in self.expected_errors if not any(part in error for error in self._errors)]
        for event, listener in self._listeners.items():
            self.page.remove_listener(event, listener)
        self.page.goto("about:blank")
        self._server.close()
        return errors + [f"expected, but not seen: {part}" for part in missing]
