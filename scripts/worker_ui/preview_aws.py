"""Has AWS itself render a worker template, which is the only proof that a page looks and works there.

RenderUiTemplate needs an AWS account, but no labelling job and no worker:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RenderUiTemplate.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from truthloop.errors import TruthloopError
from worker_ui.rendering import CONTENT_CHARACTERS_MAXIMUM

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/\S+")


class PreviewFailed(TruthloopError):
    """AWS did not render the template; the text says why and what to do."""


def preview(
    template: Path,
    task_input: Mapping[str, Any],
    role_arn: str | None,
    output: Path,
    client: SageMakerClient | None = None,
) -> Path:
    """Write the page that AWS renders from a worker template.

    Parameters
    ----------
    template
        The template's file.
    task_input
        What Liquid has as `task.input`. S3 URIs that the template grants access to have to exist.
    role_arn
        The IAM role that reads them, by `s3:GetObject`; SageMaker has to be allowed to assume it.
    output
        The HTML file to write. Its links to S3 expire, so open it soon.
    client
        None for one with the credentials and the region of the environment.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    PreviewFailed
        When the template, the role or the credentials are missing, or AWS refuses.
    """
    if not role_arn or _ROLE.fullmatch(role_arn) is None:
        raise PreviewFailed(
            f"The role is {role_arn!r}; allowed: the ARN of an IAM role that may read the shown objects, "
            "such as arn:aws:iam::123456789012:role/labeling. Pass the role of the stack's labelling jobs."
        )
    content, rendered_input = _content(template), json.dumps(task_input, ensure_ascii=False)
    if len(rendered_input) > CONTENT_CHARACTERS_MAXIMUM:
        raise PreviewFailed(
            f"The sample has {len(rendered_input)} characters; allowed: {CONTENT_CHARACTERS_MAXIMUM}. "
            "Shorten its texts."
        )
    try:
        sagemaker = client or boto3.client("sagemaker")
        response = sagemaker.render_ui_template(
            UiTemplate={"Content": content}, Task={"Input": rendered_input}, RoleArn=role_arn
        )
    except NoCredentialsError as error:
        raise PreviewFailed(
            "There are no AWS credentials. Log in (aws sso login) or set AWS_PROFILE; "
            "without an account, use `truthloop ui`."
        ) from error
    except NoRegionError as error:
        raise PreviewFailed("There is no AWS region. Set AWS_REGION to that of the stack.") from error
    except ClientError as error:
        raise PreviewFailed(_refused(error, role_arn)) from error
    except BotoCoreError as error:
        raise PreviewFailed(f"AWS was not reached: {error}. Check the network and the region.") from error
    if response["Errors"]:
        found = "; ".join(f"{each['Code']}: {each['Message']}" for each in response["Errors"])
        raise PreviewFailed(
            f"AWS found errors in {template}: {found}. Correct them; `truthloop ui check` says more."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(response["RenderedContent"], encoding="utf-8")
    return output


def _content(template: Path) -> str:
    try:
        content = template.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PreviewFailed(
            f"The template {template} cannot be read: {error}. Name a file of UTF-8 text."
        ) from error
    if not 0 < len(content) <= CONTENT_CHARACTERS_MAXIMUM:
        raise PreviewFailed(
            f"{template} has {len(content)} characters; allowed: 1..{CONTENT_CHARACTERS_MAXIMUM}. "
            "Remove embedded pictures or scripts."
        )
    return content


def _refused(error: ClientError, role_arn: str) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    advice = "Correct what it names."
    if code in {"AccessDenied", "AccessDeniedException"}:
        advice = (
            f"Allow your own identity sagemaker:RenderUiTemplate, and iam:PassRole for {role_arn}; "
            "the role's trust policy has to name sagemaker.amazonaws.com."
        )
    elif code in {"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException"}:
        advice = "Log in again."
    return f"AWS refused to render the template: {code}: {message} {advice}"
