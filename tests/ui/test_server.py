"""The portal's server answers its own page and nobody else; these need no browser."""

from __future__ import annotations

import http.client
import io
import json
import re
import threading

import numpy as np
import pytest
from PIL import Image

from truthloop import palette
from worker_ui.preview import PreviewPortal, drawing
from worker_ui.server import PortalServer

TEMPLATE = """<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>
<crowd-form><img src="{{ task.input.taskObject | grant_read_access }}">
{{ task.input.raw | skip_autoescape }}</crowd-form>
<script>let own = 1;</script><script src="https://other.example/x.js"></script>"""
INPUT = {"taskObject": "s3://bucket/one.png", "raw": "<script>let data = 1;</script>"}


class Client:
    def __init__(self, server: PortalServer) -> None:
        self.port = server.port

    def __call__(self, method: str, path: str, body: object = None, **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if method == "POST":
            sent.setdefault("Content-Type", "application/json")
        data = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, data if method == "POST" else None, sent)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content


@pytest.fixture
def portal(tmp_path):
    template = tmp_path / "template.liquid.html"
    template.write_text(TEMPLATE, "utf-8")
    return PreviewPortal(template, [INPUT], objects={"s3://bucket/one.png": b"the bytes"})


@pytest.fixture
def ask(portal):
    with PortalServer(portal) as server:
        yield Client(server)


def task(ask) -> dict[str, object]:
    response, content = ask("POST", "/portal/api/next", {"job": "preview"})
    assert response.status == 200
    return json.loads(content)["task"]


def test_the_api_hands_out_takes_back_and_takes_answers(ask, portal):
    _, content = ask("GET", "/portal/api/jobs")
    listed = json.loads(content)
    assert listed["worker"] == "me"
    assert [(job["name"], job["available"], job["submitted"]) for job in listed["jobs"]] == [
        ("preview", 1, 0)
    ]
    first = task(ask)
    assert first["page"] == f"/portal/task/{first['id']}"
    assert first["deadline"] - first["accepted_at"] == pytest.approx(3600)
    assert task(ask)["id"] == first["id"]
    for action in ("decline", "return"):
        response, content = ask("POST", f"/portal/api/{action}", {"task": task(ask)["id"]})
        assert (response.status, json.loads(content)) == (200, {})
    last = task(ask)["id"]
    response, _ = ask("POST", "/portal/api/submit", {"task": last, "answer": {"a": "ü"}})
    assert response.status == 200
    assert portal.answers == [{"a": "ü"}]
    response, content = ask("POST", "/portal/api/submit", {"task": last, "answer": {}})
    assert response.status == 409
    assert "no longer yours" in json.loads(content)["message"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:80", "localhost:1"])
@pytest.mark.parametrize("path", ["/portal/", "/portal/api/jobs", "/portal/object/x"])
def test_a_foreign_name_for_this_machine_is_refused(ask, host, path):
    response, content = ask("GET", path, Host=host)
    assert response.status == 421
    assert b"open it by that name" in content


def test_localhost_is_this_server_too(ask):
    response, _ = ask("GET", "/portal/api/jobs", Host=f"localhost:{ask.port}")
    assert response.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_changes_come_from_the_portals_own_page_alone(ask, portal, headers):
    held = task(ask)["id"]
    response, _ = ask("POST", "/portal/api/submit", {"task": held, "answer": {}}, **headers)
    assert response.status == 403
    assert portal.answers == []
    own = {"Origin": f"http://127.0.0.1:{ask.port}", "Sec_Fetch_Site": "same-origin"}
    response, _ = ask("POST", "/portal/api/submit", {"task": held, "answer": {}}, **own)
    assert response.status == 200


def test_a_form_of_another_page_cannot_post(ask):
    response, _ = ask(
        "POST", "/portal/api/next", "job=preview", Content_Type="application/x-www-form-urlencoded"
    )
    assert response.status == 415


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("next", "[]", "not a JSON object"),
        ("next", "{", "not a JSON object"),
        ("next", "{}", "job is missing"),
        ("submit", '{"task": "preview-1", "answer": []}', "answer is missing or no object"),
        ("submit", '{"task": 1, "answer": {}}', "task is missing"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(ask, path, body, message):
    response, content = ask("POST", f"/portal/api/{path}", body)
    assert response.status == 400
    assert message in json.loads(content)["message"]


def test_every_answer_forbids_to_load_anything_from_elsewhere(ask):
    page = task(ask)["page"]
    _, html = ask("GET", page)
    token = re.search(rb"/portal/object/([\w-]+)", html)[1].decode()
    paths = ["/portal/", "/portal/api/jobs", "/portal/static/portal.js", "/portal/static/crowd.js", page,
             f"/portal/object/{token}", "/nowhere", "/favicon.ico"]  # fmt: skip
    for path in paths:
        response, _ = ask("GET", path)
        policy = response.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'"), path
        assert "unsafe-eval" not in policy
        assert "https:" not in policy
        scripts = next((part for part in policy.split("; ") if part.startswith("script-src")), "")
        assert "unsafe-inline" not in scripts
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_tasks_page_has_an_origin_of_its_own_and_runs_its_own_scripts_alone(ask):
    response, html = ask("GET", task(ask)["page"])
    policy = response.headers["Content-Security-Policy"]
    assert "sandbox allow-scripts" in policy.split("; ")
    nonce = re.search(r"'nonce-([\w-]+)'", policy)[1]
    text = html.decode()
    assert f'<script nonce="{nonce}">let own = 1;</script>' in text
    assert "<script>let data = 1;</script>" in text
    assert '<script src="https://other.example/x.js"></script>' in text
    assert "assets.crowd.aws" not in text
    assert text.count("/portal/static/crowd.js?") == 1
    _, again = ask("GET", "/portal/api/jobs")
    assert nonce.encode() not in again
    response, _ = ask("GET", task(ask)["page"])
    assert nonce not in response.headers["Content-Security-Policy"]


def test_an_object_is_read_by_its_token_alone_and_from_every_origin(ask):
    _, html = ask("GET", task(ask)["page"])
    token = re.search(rb"/portal/object/([\w-]+)", html)[1].decode()
    assert len(token) >= 32
    response, content = ask("GET", f"/portal/object/{token}")
    assert content == b"the bytes"
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    response, _ = ask("GET", "/portal/object/" + "x" * 32)
    assert response.status == 403
    assert ask("GET", "/portal/object/../api/jobs")[0].status == 404


def test_files_are_those_of_the_portal_alone(ask):
    for path in (
        "/portal/static/../server.py",
        "/portal/static/portal.html",
        "/portal/static/x.js",
        "/etc/passwd",
    ):
        assert ask("GET", path)[0].status == 404
    assert ask("POST", "/portal/", {})[0].status == 405
    assert ask("GET", "/")[0].headers["Location"] == "/portal/"
    response, content = ask("HEAD", "/portal/")
    assert (response.status, content) == (200, b"")


def test_a_failure_gives_a_sentence_and_no_details(ask, portal, monkeypatch, capsys):
    monkeypatch.setattr(portal, "jobs", lambda: 1 / 0)
    response, content = ask("GET", "/portal/api/jobs")
    assert response.status == 500
    assert b"ZeroDivisionError" not in content
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_server_ends_with_its_threads(portal):
    before = threading.active_count()
    with PortalServer(portal) as server:
        client = Client(server)
        assert client("GET", "/portal/")[0].status == 200
    assert threading.active_count() <= before
    with pytest.raises(ConnectionRefusedError):
        client("GET", "/portal/")


def test_a_drawn_picture_is_the_same_for_the_same_name():
    assert drawing("one", 80, 60) == drawing("one", 80, 60)
    assert drawing("one", 80, 60) != drawing("two", 80, 60)
    assert drawing("s3://images/one.png", 80, 60) == drawing("s3://others/one.jpg", 80, 60)


def test_a_drawn_overlay_is_transparent_but_for_what_the_picture_of_its_name_has():
    with Image.open(io.BytesIO(drawing("s3://masks/one.overlay.png"))) as overlay:
        pixels = np.asarray(overlay)
    with Image.open(io.BytesIO(drawing("s3://images/one.png"))) as picture:
        shown_under = np.asarray(picture)[pixels[..., 3] == 255]
        sky = np.asarray(picture)[0, 0]
    assert (pixels[0, 0] == 0).all()
    shown = {tuple(color) for color in pixels[pixels[..., 3] == 255][:, :3]}
    assert shown == {palette.rgb(palette.color(index)) for index in range(3)}
    assert not (shown_under == sky).all(-1).any()
