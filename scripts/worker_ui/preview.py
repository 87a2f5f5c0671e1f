"""A portal in memory: one made-up job over a template and its sample inputs, for its author and for tests."""

from __future__ import annotations

import hashlib
import io
import math
import mimetypes
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from truthloop import palette
from worker_ui.contract import Job, PortalError, StoredObject, Task, TaskGone

_SECONDS = 3600.0
# As consolidation names what lies over an image; see `truthloop.task_types.semantic_segmentation`.
_OVERLAY = ".overlay.png"


class PreviewPortal:
    """Offers the inputs one after the other, and the first one again after the last.

    Parameters
    ----------
    template
        The template's file; read for every task, so that a reload shows what was changed.
    inputs
        One `task.input` for each task of a turn.
    objects
        The bytes behind S3 URIs. Others are looked for by their file name in `folder`; where there is none, a
        drawn picture takes the object's place.
    folder
        Where the files beside the template are; None to draw every picture.
    on_answer
        Called with every answer.
    repeat
        Whether the inputs begin again after the last one.
    """

    worker = "me"

    def __init__(
        self,
        template: Path,
        inputs: Sequence[Mapping[str, Any]],
        *,
        objects: Mapping[str, bytes] | None = None,
        folder: Path | None = None,
        on_answer: Callable[[Mapping[str, Any]], None] = lambda _: None,
        seconds: float = _SECONDS,
        repeat: bool = True,
        name: str = "preview",
    ) -> None:
        if not inputs:
            raise ValueError("inputs is empty; a preview needs one task at least")
        self._template = template
        self._inputs = list(inputs)
        self._objects = dict(objects or {})
        self._folder = folder
        self._on_answer = on_answer
        self._seconds = seconds
        self._repeat = repeat
        self._name = name
        self._lock = threading.Lock()
        self._tokens: dict[str, str] = {}
        self._held: Task | None = None
        self._queue = list(range(len(self._inputs)))
        self._position = 0
        self._made = 0
        self.answers: list[Mapping[str, Any]] = []
        self.declined: list[str] = []
        self.returned: list[str] = []

    def jobs(self) -> Sequence[Job]:
        """The one made-up job."""
        with self._lock:
            return [
                Job(
                    name=self._name,
                    title=f"Preview: {self._template.parent.name or self._template.name}",
                    description=str(self._template),
                    task_type=self._template.parent.name,
                    available=len(self._queue),
                    submitted=len(self.answers),
                    seconds=self._seconds,
                )
            ]

    def next(self, job: str, window: str = "") -> Task | None:
        """The task in hand, else the next one; all windows share it."""
        with self._lock:
            if job != self._name:
                raise PortalError(f"There is no job {job!r}.")
            if self._held is not None:
                return self._held
            if not self._queue and self._repeat:
                self._queue = list(range(len(self._inputs)))
            if not self._queue:
                return None
            self._position = self._queue.pop(0)
            self._made += 1
            now = time.time()
            self._held = Task(
                id=f"{self._name}-{self._made}",
                job=job,
                accepted_at=now,
                deadline=now + self._seconds,
                seconds_left=self._seconds,
                template=self._template.read_text("utf-8"),
                input=self._inputs[self._position],
            )
            return self._held

    def task(self, task: str) -> Task:
        """The task in hand, with the template as its file is now."""
        with self._lock:
            held = self._hold(task)
            left = held.deadline - time.time()
            return Task(
                **{**held.__dict__, "template": self._template.read_text("utf-8"), "seconds_left": left},
            )

    def submit(self, task: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Keep the answer; the page shows it."""
        with self._lock:
            self._hold(task)
            self._held = None
            self.answers.append(answer)
        self._on_answer(answer)
        return {"answer": answer}

    def decline(self, task: str) -> None:
        """Drop the task for this turn."""
        with self._lock:
            self._hold(task)
            self._held = None
            self.declined.append(task)

    def return_(self, task: str) -> None:
        """Put the task back in front."""
        with self._lock:
            self._hold(task)
            self._held = None
            self.returned.append(task)
            self._queue.insert(0, self._position)

    def grant_read_access(self, task: str, uri: str) -> str:
        """A token for one object."""
        with self._lock:
            self._hold(task)
            token = secrets.token_urlsafe(24)
            self._tokens[token] = uri
            return token

    def read_object(self, token: str) -> StoredObject:
        """The object, the file of its name, or a drawing."""
        uri = self._tokens.get(token)
        if uri is None:
            raise PortalError("No access was granted with this address; reload the task.")
        media_type = mimetypes.guess_type(uri)[0] or "application/octet-stream"
        if uri in self._objects:
            return StoredObject(self._objects[uri], media_type)
        file = self._folder / uri.rpartition("/")[2] if self._folder else None
        if file is not None and file.is_file():
            return StoredObject(file.read_bytes(), media_type)
        return StoredObject(drawing(uri), "image/png")

    def _hold(self, task: str) -> Task:
        if self._held is None or self._held.id != task:
            raise TaskGone("This task is no longer yours: it was submitted, given back, or its time ran out.")
        return self._held


def drawing(name: str, width: int = 960, height: int = 640) -> bytes:
    """A drawn landscape as PNG bytes; the same file name, up to its first dot, gives the same landscape.

    Where the rest of the name says that it is the overlay of a mask, the landscape's trees, hills and sun are
    painted in the colours of the first three label categories, and all else is transparent.

    Pillow is imported here because only a preview without pictures of its own needs it.
    """
    from PIL import Image, ImageDraw, ImageFilter

    file = name.rpartition("/")[2]
    seed = hashlib.sha256(file.partition(".")[0].encode()).digest()
    picture, overlay = Image.new("RGB", (width, height)), Image.new("RGBA", (width, height))
    canvas, paint = ImageDraw.Draw(picture), ImageDraw.Draw(overlay)
    tree, hill, sun_color = map(palette.color, range(3))
    for row in range(height):
        blend = row / height
        canvas.line(
            [(0, row), (width, row)],
            fill=(int(176 + 60 * blend), int(208 + 30 * blend), int(232 - 8 * blend)),
        )
    sun = 100 + seed[0] * (width - 200) // 255
    for draw, fill in ((canvas, (252, 226, 160)), (paint, sun_color)):
        draw.ellipse([sun - 46, 60, sun + 46, 152], fill=fill)
    for layer, color in enumerate([(128, 154, 158), (98, 134, 118), (72, 110, 82)]):
        phase = seed[layer + 1] / 40
        points = [
            (x, height * (0.48 + 0.13 * layer) + 46 * math.sin(x / (90 + 25 * layer) + phase))
            for x in range(0, width + 8, 8)
        ]
        for draw, fill in ((canvas, color), (paint, hill)):
            draw.polygon([(0, height), *points, (width, height)], fill=fill)
    for number in range(5):
        x = 70 + seed[4 + number] * (width - 140) // 255
        y = int(height * 0.72) + seed[10 + number] % 120
        size = 26 + seed[16 + number] % 40
        crown = (44, 84 + seed[number] % 40, 58)
        for draw, trunk, fill in ((canvas, (92, 70, 54), crown), (paint, tree, tree)):
            draw.rectangle([x - 4, y, x + 4, y + size], fill=trunk)
            draw.ellipse([x - size, y - size * 1.5, x + size, y + size * 0.4], fill=fill)
    output = io.BytesIO()
    (overlay if file.endswith(_OVERLAY) else picture.filter(ImageFilter.SMOOTH)).save(output, "PNG")
    return output.getvalue()
