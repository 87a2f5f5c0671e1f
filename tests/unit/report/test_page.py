"""The page: self-contained, escaped, accessible, in two themes, whole when optional pieces are missing."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from truthloop_batch.report import page
from truthloop_batch.report.pictures import Picture, Thumbnail
from unit.report.campaigns import BuiltCampaign

FOLDER = Path(page.__file__).parent
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp; 手書き 🖊 {{ 7*7 }}"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Document(HTMLParser):
    """A parsed page: elements with their attributes, all visible text, and whether all tags are closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def named(self, *tags: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture
def report(campaign: BuiltCampaign) -> Any:
    """A copy of the campaign's report that a test may change."""
    return copy.deepcopy(campaign.report())


def item(identifier: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "content": f"s3://bucket/{identifier}.png",
        "is_text": False,
        "label": [{"label": "1", "count": 1}],
        "labeled_by": "people",
        "reason": "margin",
        "round": 1,
        "annotators": 3,
        "confidence": 0.5,
        "model_label": [{"label": "7", "count": 1}],
        "model_confidence": 0.9,
        "margin": 0.8,
        "agreement": 0.0,
        "boxes": None,
        "model_boxes": None,
        "mask_uri": None,
        "split": "pool",
        **changes,
    }


def test_the_page_loads_nothing_from_anywhere(campaign: BuiltCampaign) -> None:
    html = campaign.page()
    document = Document(html)
    assert not document.named("link", "iframe", "object", "embed", "base", "form", "video", "audio")
    for _, attributes in document.elements:
        assert not {"srcset", "action", "formaction", "background", "xlink:href"} & set(attributes)
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "#").startswith("#")
    plain = re.sub(r"data:image/[a-z]+;base64,[^\"]+", "", html).replace("s3://", "")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", plain, re.IGNORECASE)


def test_the_content_security_policy_allows_the_pages_own_script_and_no_other(
    campaign: BuiltCampaign,
) -> None:
    html = campaign.page()
    (policy,) = [m["content"] for m in Document(html).named("meta") if "http-equiv" in m]
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    assert "img-src data:" in policy


def test_the_page_stays_below_a_megabyte(campaign: BuiltCampaign) -> None:
    assert len(campaign.page().encode()) < 1_000_000


def test_every_colour_has_a_value_for_the_light_and_for_the_dark_theme() -> None:
    style = (FOLDER / "style.css").read_text()
    root = style[style.index(":root {") : style.index("}", style.index(":root {"))]
    defined = dict(re.findall(r"(--[a-z-]+): ([^;]+);", root))
    colours = {name: value for name, value in defined.items() if "#" in value}
    assert len(colours) > 15
    assert all(value.startswith("light-dark(") for value in colours.values())
    assert 'data-theme="light"] { color-scheme: light' in style
    assert 'data-theme="dark"] { color-scheme: dark' in style
    set_elsewhere = {"--key", "--mark", "--band", "--share", "--rows", "--swatch"}
    assert set(re.findall(r"var\((--[a-z-]+)", style)) - set_elsewhere <= set(defined)
    # A colour outside the root would be the same in both themes; shadows and the transparent are none.
    rest = style.replace(root, "")
    assert set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rest)) <= {"#0003"}


def channels(colour: str) -> list[float]:
    values = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    light, dark = sorted(
        (
            sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), channels(x), strict=True))
            for x in (one, other)
        ),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("--ink", 7),
        ("--ink-soft", 4.5),
        ("--ink-faint", 4.5),
        ("--people", 4.5),
        ("--machine", 3),
        ("--control", 3),
    ],
)
def test_texts_and_marks_stand_out_from_their_background(name: str, least: float, theme: int) -> None:
    style = (FOLDER / "style.css").read_text()
    colours = {
        key: (light, dark)
        for key, light, dark in re.findall(
            r"(--[a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", style
        )
    }
    for background in ("--page", "--surface"):
        assert contrast(colours[name][theme], colours[background][theme]) >= least


def test_headline_figures_are_the_reports(campaign: BuiltCampaign) -> None:
    report, text = campaign.report(), Document(campaign.page()).text
    assert f"{report['model']['quality'] * 100:.1f}%" in text
    assert f"${report['cost']['total_usd']:,.2f}" in text
    assert report["learning"]["sentence"] in text
    assert report["stop"]["reason"] in text
    for annotator in report["annotators"]:
        assert annotator["worker"].split(".")[-1] in text
    for job in report["jobs"]:
        assert job["name"] in text


def test_every_number_that_a_chart_shows_stands_in_a_table_too(campaign: BuiltCampaign) -> None:
    report, text = campaign.report(), Document(campaign.page()).text.replace("\u2060", "")
    for arm in report["learning"]["arms"].values():
        for point in arm:
            assert f"{point['quality'] * 100:.1f}%" in text
            assert f"{point['macro_f1']:.3f}" in text
    for entry in report["selection"]:
        assert f"{entry['pool']['median']:.3f}" in text
    for entry in report["rounds"]:
        assert f"${entry['cumulative_usd']:,.2f}" in text


def test_the_gallery_embeds_a_picture_for_every_image(campaign: BuiltCampaign) -> None:
    hardest = campaign.report()["hardest"]
    items = [item for group in hardest.values() for item in group]
    pictures = Document(campaign.page()).named("img")
    assert len(pictures) == len(items) > 12
    assert [picture["alt"] for picture in pictures] == [entry["content"].split("/")[-1] for entry in items]
    for picture in pictures:
        kind, _, content = picture["src"].partition(";base64,")
        magic = {"data:image/png": b"\x89PNG", "data:image/jpeg": b"\xff\xd8\xff"}[kind]
        assert base64.b64decode(content, validate=True).startswith(magic)


def test_navigation_leads_to_sections_and_ids_are_unique(campaign: BuiltCampaign) -> None:
    document = Document(campaign.page())
    ids = Counter(attributes["id"] for _, attributes in document.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    targets = [attributes["href"].removeprefix("#") for attributes in document.named("a")]
    assert len(targets) == 9
    assert set(targets) <= set(ids)
    for _, attributes in document.elements:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in ids


def test_charts_and_pictures_have_words_for_those_who_do_not_see_them(campaign: BuiltCampaign) -> None:
    document = Document(campaign.page())
    assert len([a for a in document.named("svg") if a.get("class") == "chart"]) == 10
    for attributes in document.named("svg"):
        assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"
    for attributes in document.named("g"):
        if attributes.get("class", "").startswith("mark"):
            assert attributes["aria-label"]
    assert all(attributes.get("scope") for attributes in document.named("th"))


def test_texts_of_the_campaign_can_neither_break_the_page_nor_run(report: Any) -> None:
    categories = [f"{number}{EVIL}" for number in range(10)]
    report["campaign"] |= {
        "name": EVIL,
        "label_attribute": EVIL,
        "manifest_uri": EVIL,
        "categories": categories,
    }
    report["campaign"] |= {"strategy": EVIL, "adapter": EVIL, "uri": EVIL}
    report["stop"] |= {"rule": EVIL, "reason": EVIL}
    report["learning"]["sentence"] = EVIL
    for entry, label in zip(report["labels"]["per_class"], categories, strict=True):
        entry["label"] = label
    report["labels"]["reasons"][EVIL] = 3
    report["model"]["most_confused"] = [{"label": EVIL, "predicted": EVIL, "rows": 2}]
    report["model"]["uri"] = EVIL
    report["annotators"][0]["worker"] = EVIL
    report["jobs"][0] |= {"name": EVIL, "status": EVIL}
    evil_label = [{"label": EVIL, "count": 1}]
    evil = {"content": EVIL, "label": evil_label, "model_label": evil_label, "reason": EVIL}
    report["problems"]["failures"] = report["problems"]["malformed"] = [{"reason": EVIL, "count": 3}]
    report["hardest"] = {
        "least_agreed": [item("a", **evil, is_text=True)],
        "disputed": [item("b", **evil)],
        "least_certain": [],
    }
    html = page.render(report, {"b": Picture(Thumbnail("data:image/png;base64,AAAA", 4, 3))})
    document = Document(html)
    assert len(document.named("script")) == 1
    assert [picture["src"] for picture in document.named("img")] == ["data:image/png;base64,AAAA"]
    for _, attributes in document.elements:
        assert not [name for name in attributes if name.startswith("on")]
    assert document.text.count("alert(1)") > 20
    assert "手書き 🖊" in document.text
    assert "{{ 7*7 }}" in document.text
    assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)", "", html)


def test_texts_are_shown_as_texts(report: Any) -> None:
    text = "猫が好き 🐈\nsecond line"
    report["hardest"]["least_agreed"] = [item("t", content=text, is_text=True)]
    html = page.render(report, {})
    document = Document(html)
    assert len(document.named("blockquote")) == 1
    assert "猫が好き 🐈 second line" in document.text


def test_an_image_without_a_picture_says_so(report: Any) -> None:
    report["hardest"] = {"least_agreed": [item("x")], "disputed": [], "least_certain": []}
    document = Document(page.render(report, {}))
    assert not document.named("img")
    assert "no preview" in document.text
    assert "The model agrees with every label" in document.text
    assert "The model gave no labels" in document.text


def test_with_many_classes_the_mistakes_are_listed_and_no_matrix_is_drawn(report: Any) -> None:
    names = [f"class {number}" for number in range(200)]
    report["campaign"]["categories"] = names
    report["model"]["confusion"] = [[0] * 200 for _ in names]
    report["model"]["most_confused"] = [{"label": "class 7", "predicted": "class 9", "rows": 4}]
    document = Document(page.render(report, {}))
    assert "What it mixes up most" in document.text
    assert len([a for a in document.named("g") if a.get("class") == "mark cell"]) == 0
    assert document.text.count("class 9") >= 2


def test_pieces_that_a_campaign_lacks_are_left_out_or_said_to_be_missing(report: Any) -> None:
    report["learning"]["arms"] |= {"strategy": [], "control": []}
    report["learning"]["arms"]["model"] = report["learning"]["arms"]["model"][:1]
    report["learning"]["comparison"] = None
    report["rounds"] = report["rounds"][:1]
    report["cost"] |= {"budget_usd": None, "per_person_label_usd": None, "per_label_usd": None}
    report["cost"]["all_by_people_usd"] = None
    report["annotators"], report["jobs"], report["selection"] = [], [], []
    report["model"]["per_class"][0] |= {"precision": None, "recall": None}
    report["model"]["most_confused"] = []
    report["labels"] |= {"model": 0, "nobody": 5}
    report["stop"]["rule"] = None
    document = Document(page.render(report, {}))
    assert "No labelling job was needed" in document.text
    assert "It labels every test row right." in document.text
    assert "Against labelling everything" not in document.text
    assert "budget" not in document.text
    assert "#selection" not in {attributes.get("href") for attributes in document.named("a")}
    assert "None" not in document.text
    assert "nan" not in document.text.split()


def test_every_reason_that_a_row_can_have_is_explained_on_the_page() -> None:
    from truthloop_batch import finalise, model_labels, selection
    from truthloop_batch.report.sentences import REASONS

    unlabelled = {
        finalise.NOT_SELECTED,
        finalise.NO_ANSWER,
        finalise.HELD_OUT,
        finalise.UNREADABLE,
        finalise.TAKEN_BACK,
    }
    chosen = {selection.MARGIN, selection.RANDOM, "seed", "test", "validation", "random-control"}
    by_model = {model_labels.AUTO, model_labels.REST}
    assert unlabelled | chosen | by_model | {"input"} == set(REASONS)


def test_every_stop_rule_has_words_on_the_page() -> None:
    from truthloop.stop_rules import RULES
    from truthloop_batch.report.sentences import RULES_IN_WORDS

    assert {rule.__name__ for rule in RULES} == set(RULES_IN_WORDS)
