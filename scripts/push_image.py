"""Pushes the Batch image to an ECR repository under an immutable tag, unless that tag is there already."""

from __future__ import annotations

import argparse
import base64
import subprocess
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", required=True, help="docker, podman or buildah")
    parser.add_argument("--tag", required=True, help="the image's tag, the git revision by default")
    parser.add_argument("--repository", required=True, help="<account>.dkr.ecr.<region>.amazonaws.com/<name>")
    arguments = parser.parse_args(argv)
    registry, _, name = arguments.repository.partition("/")
    if not name:
        sys.exit(
            f"--repository is {arguments.repository!r}: give <registry>/<name>, as terraform output has it."
        )
    try:
        push(arguments.engine, arguments.tag, registry, name)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The image was not pushed to {arguments.repository}: {error}")


def push(engine: str, tag: str, registry: str, name: str) -> None:
    """Log the engine in to the registry and push truthloop:<tag>, unless the registry has that tag."""
    ecr = boto3.client("ecr")
    if tag_exists(ecr, name, tag):
        print(f"image: {registry}/{name}:{tag} is there already")
        return
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    subprocess.run(
        [engine, "login", "--username", user, "--password-stdin", registry],
        input=password,
        text=True,
        check=True,
    )
    target = f"{registry}/{name}:{tag}"
    subprocess.run([engine, "tag", f"truthloop:{tag}", target], check=True)
    subprocess.run([engine, "push", target], check=True)


def tag_exists(ecr: object, name: str, tag: str) -> bool:
    """Return whether the repository holds an image under this tag."""
    try:
        images = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])  # type: ignore[attr-defined]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ImageNotFoundException":
            return False
        raise
    return bool(images["imageDetails"])


if __name__ == "__main__":
    main()
