from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from truthloop import palette
from truthloop.audit import REASONS
from truthloop.audit.display import audit_task, shown_label
from truthloop.audit.feedback import feedback_task
from truthloop.audit.overlays import drawn_categories, transparent
from truthloop.consolidation.masks import overlay_png, palette_png
from truthloop.labeling.annotations import prepare_task
from truthloop.labels import NONE_OF_THESE
from truthloop.task_types import InvalidDataObject
from unit.audit.kit import COMMENT
from unit.labeling import answers
from unit.labeling.kit import CATEGORIES, record

HISTORY = [
    {"at": "1", "event": "selected", "job": None, "reason": "margin"},
    {
        "at": "2",
        "event": "audited",
        "job": "a",
        "decision": "reject",
        "reason": "missing",
        "comment": COMMENT,
    },
    {"at": "3", "event": "relabeled", "job": "b", "attempt": 1},
    {
        "at": "4",
        "event": "audited",
        "job": "c",
        "decision": "accept",
        "reason": "",
        "comment": "",
        "why": "all",
    },
    {"at": "5", "event": "audited", "job": "d", "decision": "reject", "reason": "other", "comment": "まだ"},
]
TOLD = {"truthloop": {"id": "1", "history": HISTORY}}
OWN = {"0": {"class-name": "BACKGROUND", "hex-color": "#ffffff", "confidence": 0.1}} | {
    "3": {"class-name": "bird", "hex-color": "#00ff00", "confidence": 0.7}
}


def job(task_type: str = "image-classification", purpose: str = "audit", **changes: Any) -> Any:
    attribute = "label-ref" if task_type == "semantic-segmentation" else "label"
    return record(task_type=task_type, label_attribute=attribute, purpose=purpose, **changes)


def test_an_auditor_sees_object_label_reasons_and_the_earlier_verdicts() -> None:
    row = {
        "source": "いい天気",
        "context": "<b>",
        "label": "2",
        "label-metadata": {"class-name": "bird", "confidence": 0.91},
        **TOLD,
    }
    task = prepare_task({"dataObject": row}, job("text-classification", instructions="よく見る"))
    assert task["isHumanAnnotationRequired"] is True
    assert task["taskInput"] == {
        "taskObject": "いい天気",
        "objectKind": "text",
        "labels": list(CATEGORIES),
        "kind": "class",
        "label": {"names": ["bird"]},
        "reasons": [{"code": code, "en": en, "ja": ja} for code, (en, ja) in REASONS.items()],
        "history": [
            {"event": "audited", "decision": "reject", "reason": "missing", "comment": COMMENT},
            {"event": "audited", "decision": "accept", "reason": "", "comment": ""},
            {"event": "audited", "decision": "reject", "reason": "other", "comment": "まだ"},
        ],
        "confidence": 0.91,
        "instructions": "よく見る",
        "context": "<b>",
    }


def test_boxes_have_their_categories_colours_and_the_size_of_their_image() -> None:
    box = {"class_id": 2, "left": 1, "top": 2, "width": 3, "height": 4}
    value = {"image_size": [{"width": 16, "height": 12, "depth": 3}], "annotations": [box]}
    row = {"source-ref": "s3://i/1.png", "label": value, "label-metadata": {"objects": [{"confidence": 0.5}]}}
    task = audit_task(row, job("bounding-box", purpose="final"))
    assert (task["objectKind"], task["kind"], task["confidence"]) == ("image", "boxes", 0.5)
    assert task["label"] == {
        "width": 16,
        "height": 12,
        "boxes": [{"label": "bird", "left": 1, "top": 2, "width": 3, "height": 4, "color": palette.color(2)}],
    }


def test_a_mask_has_its_overlay_and_a_legend_in_its_colours() -> None:
    metadata = {"internal-color-map": OWN, "overlay-ref": "s3://b/1.overlay.png"}
    row = {"source-ref": "s3://i/1.png", "label-ref": "s3://b/1.png", "label-ref-metadata": metadata}
    task = audit_task(row, job("semantic-segmentation"))
    assert task["label"] == {
        "overlay": "s3://b/1.overlay.png",
        "legend": [{"label": "bird", "color": "#00ff00"}],
    }
    assert task["confidence"] == 0.7


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("class", {}),
        ("class", {"label": None}),
        ("class", {"label": 7}),
        ("class", {"label": 1, "label-metadata": {"class-name": "cat"}}),
        ("classes", {"label": [1, 1]}),
        ("boxes", {"label": {"annotations": []}}),
        ("boxes", {"label": {"image_size": [{"width": 0, "height": 3}], "annotations": []}}),
        ("mask", {"label": "s3://b/1.png", "label-metadata": {}}),
        ("mask", {"label": "no-uri", "label-metadata": {"overlay-ref": "s3://b/o.png"}}),
        (
            "mask",
            {
                "label": "s3://b/1.png",
                "label-metadata": {
                    "overlay-ref": "s3://b/o.png",
                    "internal-color-map": {"1": {"class-name": "fish"}},
                },
            },
        ),
    ],
)
def test_a_label_that_cannot_be_shown_is_refused(kind: str, row: dict[str, Any]) -> None:
    with pytest.raises(InvalidDataObject, match=r"[Cc]orrect|Write"):
        shown_label(kind, row, "label", CATEGORIES)


# ---- feedback


@pytest.mark.parametrize("purpose", ["relabel", "expert"])
def test_who_labels_again_reads_every_rejection_newest_last(purpose: str) -> None:
    row = {"source-ref": "s3://i/1.png", "label-suggestion": 1, **TOLD}
    shown = prepare_task({"dataObject": row}, job(purpose=purpose))["taskInput"]
    assert [each["comment"] for each in shown["feedback"]] == [COMMENT, "まだ"]
    assert shown["feedback"][0] == {
        "comment": COMMENT,
        "reason": "missing",
        "reasonEn": REASONS["missing"][0],
        "reasonJa": REASONS["missing"][1],
    }
    assert shown["previous"] == "dog"


def test_who_labels_first_reads_nothing_of_what_was_said_before() -> None:
    row = {"source-ref": "s3://i/1.png", "label-suggestion": 1, **TOLD}
    shown = prepare_task({"dataObject": row}, job(purpose="label"))["taskInput"]
    assert (shown["feedback"], shown["previous"]) == ([], "")


@pytest.mark.parametrize(
    ("task_type", "label", "previous"),
    [
        ("image-multi-label", [0, 2], "cat, bird"),
        ("image-multi-label", [], NONE_OF_THESE),
        ("image-classification", "0", "cat"),
        ("image-classification", 9, ""),
        ("bounding-box", {"annotations": []}, ""),
    ],
)
def test_the_earlier_label_is_told_by_name_where_no_widget_shows_it(
    task_type: str, label: Any, previous: str
) -> None:
    row = {"source-ref": "s3://i/1.png", "label-suggestion": label}
    assert feedback_task(row, job(task_type, "relabel")) == {"feedback": [], "previous": previous}


# ---- overlays

DRAWN = answers.indices((1, slice(0, 4), slice(0, 6)), (3, slice(6, 9), slice(2, 8)))


def rgba(png: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_a_palette_png_becomes_the_overlay_that_consolidation_would_write() -> None:
    overlay = transparent(palette_png(DRAWN), drawn_categories(None, CATEGORIES))
    pixels, expected = rgba(overlay), rgba(overlay_png(DRAWN))
    assert (pixels[..., 3] == expected[..., 3]).all()
    assert (pixels[DRAWN > 0] == expected[DRAWN > 0]).all()
    # The pixels themselves stay as they are.
    assert (np.asarray(Image.open(io.BytesIO(overlay))) == DRAWN).all()
    for kind, data, crc in chunks(overlay):
        assert crc == zlib.crc32(kind + data)
    kinds = [kind for kind, _, _ in chunks(overlay)]
    assert kinds[:3] == [b"IHDR", b"PLTE", b"tRNS"]
    assert kinds[-1] == b"IEND"


def test_the_colours_are_those_of_the_colour_map_and_an_older_transparency_is_replaced() -> None:
    image = Image.fromarray(DRAWN)
    image.putpalette([0] * 768)
    once = answers.png(image, transparency=1)
    overlay = transparent(once, drawn_categories(OWN, CATEGORIES))
    assert [kind for kind, _, _ in chunks(overlay)].count(b"tRNS") == 1
    pixels = rgba(overlay)
    assert (pixels[DRAWN == 3] == [0, 255, 0, 255]).all()
    # The index that the map doesn't name is drawn as nothing.
    assert (pixels[DRAWN != 3][..., 3] == 0).all()


def test_colours_that_a_map_lacks_are_our_own() -> None:
    odd = {"2": {"class-name": "dog"}, "1": {"class-name": "cat", "hex-color": "red"}}
    assert {index: each.color for index, each in drawn_categories(odd, CATEGORIES).items()} == {
        1: palette.color(0),
        2: palette.color(1),
    }
    assert drawn_categories("odd", CATEGORIES) == drawn_categories(None, CATEGORIES)


def test_an_image_with_alpha_is_an_overlay_already() -> None:
    png = overlay_png(DRAWN)
    assert transparent(png, {}) == png


@pytest.mark.parametrize(
    "png",
    [
        b"",
        b"GIF89a",
        palette_png(DRAWN)[:-20],
        palette_png(DRAWN)[:20],
        answers.png(np.zeros((4, 4, 3), np.uint8)),
        answers.png(DRAWN),
    ],
    ids=["nothing", "no PNG", "no end", "no header", "RGB", "grey"],
)
def test_what_cannot_be_laid_over_an_image_is_refused(png: bytes) -> None:
    with pytest.raises(InvalidDataObject, match="the mask is"):
        transparent(png, drawn_categories(None, CATEGORIES))


def chunks(png: bytes) -> list[tuple[bytes, bytes, int]]:
    found, position = [], 8
    while position < len(png):
        length = struct.unpack_from(">I", png, position)[0]
        data = png[position + 8 : position + 8 + length]
        crc = struct.unpack_from(">I", png, position + 8 + length)[0]
        found.append((png[position + 4 : position + 8], data, crc))
        position += length + 12
    return found
