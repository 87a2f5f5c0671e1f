from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, NoRegionError
from botocore.stub import Stubber

from worker_ui.preview_aws import PreviewFailed, preview

ROLE = "arn:aws:iam::123456789012:role/labeling"
TASK = {"taskObject": "s3://images/猫.png", "labels": ["猫"]}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "template.liquid.html"
    file.write_text("<crowd-form>{{ task.input.labels | to_json }}</crowd-form>", encoding="utf-8")
    return file


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "previews" / "page.html"


@pytest.fixture
def stubber() -> Iterator[Stubber]:
    client = boto3.client(
        "sagemaker", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stub:
        yield stub


def test_the_page_that_aws_rendered_is_written(template: Path, output: Path, stubber: Stubber) -> None:
    stubber.add_response(
        "render_ui_template",
        {"RenderedContent": '<crowd-form>["猫"]</crowd-form>', "Errors": []},
        {
            "UiTemplate": {"Content": template.read_text(encoding="utf-8")},
            "Task": {"Input": json.dumps(TASK, ensure_ascii=False)},
            "RoleArn": ROLE,
        },
    )
    assert preview(template, TASK, ROLE, output, stubber.client) == output
    assert output.read_text(encoding="utf-8") == '<crowd-form>["猫"]</crowd-form>'
    stubber.assert_no_pending_responses()


def test_errors_that_aws_finds_are_told_and_no_page_is_written(
    template: Path, output: Path, stubber: Stubber
) -> None:
    stubber.add_response(
        "render_ui_template",
        {"RenderedContent": "", "Errors": [{"Code": "InvalidLiquid", "Message": "line 3"}]},
    )
    with pytest.raises(PreviewFailed, match="InvalidLiquid: line 3"):
        preview(template, TASK, ROLE, output, stubber.client)
    assert not output.exists()


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDeniedException", f"iam:PassRole for {ROLE}"),
        ("ExpiredTokenException", "Log in again"),
        ("ValidationException", "Correct what it names"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(
    template: Path, output: Path, stubber: Stubber, code: str, advice: str
) -> None:
    stubber.add_client_error("render_ui_template", code, "no.")
    with pytest.raises(PreviewFailed) as error:
        preview(template, TASK, ROLE, output, stubber.client)
    assert f"{code}: no." in str(error.value)
    assert advice in str(error.value)


@pytest.mark.parametrize(
    ("raised", "advice"),
    [
        (NoCredentialsError(), "no AWS credentials"),
        (NoRegionError(), "Set AWS_REGION"),
        (EndpointConnectionError(endpoint_url="https://x"), "Check the network"),
    ],
)
def test_without_credentials_region_or_network_it_says_so(
    template: Path, output: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, advice: str
) -> None:
    def client(service: str) -> None:
        raise raised

    monkeypatch.setattr(boto3, "client", client)
    with pytest.raises(PreviewFailed, match=advice):
        preview(template, TASK, ROLE, output)


@pytest.mark.parametrize("role", [None, "", "labeling", "arn:aws:iam::123456789012:user/me"])
def test_a_role_is_needed(template: Path, output: Path, stubber: Stubber, role: str | None) -> None:
    with pytest.raises(PreviewFailed, match="allowed: the ARN of an IAM role"):
        preview(template, TASK, role, output, stubber.client)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has 0 characters"),
        ("ä".encode() * 128_001, "has 128001 characters"),
        (b"\xff", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_an_unusable_template_is_refused_before_aws_is_asked(
    template: Path, output: Path, stubber: Stubber, content: bytes | None, reason: str
) -> None:
    template.unlink()
    if content is not None:
        template.write_bytes(content)
    with pytest.raises(PreviewFailed, match=reason):
        preview(template, TASK, ROLE, output, stubber.client)


def test_a_sample_beyond_awss_limit_is_refused_before_aws_is_asked(
    template: Path, output: Path, stubber: Stubber
) -> None:
    with pytest.raises(PreviewFailed, match="The sample has 128011 characters"):
        preview(template, {"text": "x" * 127_999}, ROLE, output, stubber.client)
