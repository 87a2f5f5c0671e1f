"""Builds the Batch image with docker, podman or buildah; pushes it to ECR under a tag that never moves."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from truthloop.errors import TruthloopError
from truthloop_cli.environments import ImageRepository

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("docker", "podman", "buildah")
# What batch_image/Dockerfile copies into the image: the tag promises these files as the revision has them.
SOURCES = ("batch_image", "lambdas/shared/truthloop")
_PLATFORM = "linux/amd64"
# A daemon in a virtual machine may have to wake up first.
_ENGINE_SECONDS = 60
# Of the 40 digits of a revision.
_REVISION_DIGITS = 12


class NoTag(TruthloopError):
    """The git revision cannot be the image's tag."""


class NoEngine(TruthloopError):
    """There is no container engine that works."""


class NoRepository(TruthloopError):
    """The image's repository does not exist."""


class EngineFailed(TruthloopError):
    """The container engine could not build or push; its own message is in the terminal."""


# ---- the tag -----------------------------------------------------------------------------------------------


def revision(root: Path = ROOT) -> str:
    """Return the git revision of HEAD, or raise NoTag if there is none."""
    return _git(root, "rev-parse", f"--short={_REVISION_DIGITS}", "HEAD").strip()


def committed_revision(root: Path = ROOT) -> str:
    """Return the git revision that the files of the image are of.

    Raises
    ------
    NoTag
        If there is none, or the files have changed since: the tag would say what is not so.
    """
    tag = revision(root)
    changed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *SOURCES).splitlines()
    if changed:
        files = [line[3:] for line in changed]
        more = f" and {len(files) - 3} more" if len(files) > 3 else ""
        raise NoTag(
            f"The image would not hold what its tag {tag} promises: {', '.join(files[:3])}{more} changed "
            "since that commit. Commit it, or give a tag of your own: IMAGE_TAG=try-1. Nothing was created."
        )
    return tag


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise NoTag(
            "There is no git, whose revision is the image's tag: install it, or give IMAGE_TAG=…"
        ) from None
    if done.returncode:
        raise NoTag(
            f"git does not say which revision this is ({done.stderr.strip()}), and the image's tag is that "
            "revision: give IMAGE_TAG=… where this is no git checkout."
        )
    return done.stdout


# ---- the repository ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Login:
    """A registry's address, user and password, and the address of the repository in it."""

    registry: str
    user: str
    password: str
    uri: str


class Repository:
    """An ECR repository.

    Parameters
    ----------
    place
        Where it is.
    account
        The account of the credentials, for a place that names none.
    """

    def __init__(self, place: ImageRepository, account: str) -> None:
        self._place = place
        self._account = place.account or account
        self._ecr: Any = boto3.client("ecr", region_name=place.region)

    def has(self, tag: str) -> bool:
        """Return whether an image has this tag.

        Raises
        ------
        NoRepository
            If there is no such repository.
        """
        try:
            found = self._ecr.describe_images(
                registryId=self._account, repositoryName=self._place.name, imageIds=[{"imageTag": tag}]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ImageNotFoundException":
                return False
            if error.response["Error"]["Code"] == "RepositoryNotFoundException":
                raise NoRepository(
                    f"There is no ECR repository {self._place.name!r} in {self._place.region} of account "
                    f"{self._account}"
                ) from None
            raise
        return bool(found["imageDetails"])

    def login(self) -> Login:
        """Return what the engine needs to push; it is good for some hours."""
        (granted,) = self._ecr.get_authorization_token(registryIds=[self._account])["authorizationData"]
        user, _, password = base64.b64decode(granted["authorizationToken"]).decode().partition(":")
        registry = granted["proxyEndpoint"].removeprefix("https://")
        return Login(registry, user, password, f"{registry}/{self._place.name}")


# ---- the engine --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """A container engine that works.

    Attributes
    ----------
    path
        Its command.
    kind
        docker, podman or buildah, by what it says of itself: `docker` may be podman under that name.
    """

    path: str
    kind: str

    def build(self, image: str) -> None:
        """Build the image under a name with its tag."""
        if self.kind == "buildah":
            command = ["bud"]
        elif self.kind == "docker" and _succeeds([self.path, "buildx", "version"]):
            # An attestation makes the image an index, which not every service that runs images reads.
            command = ["buildx", "build", "--load", "--provenance=false"]
        else:
            command = ["build"]
        file = str(ROOT / "batch_image" / "Dockerfile")
        self._run([*command, "--platform", _PLATFORM, "--tag", image, "--file", file, str(ROOT)])

    def push(self, image: str, login: Login) -> None:
        """Log in to the image's registry and push the image."""
        self._run(["login", "--username", login.user, "--password-stdin", login.registry], login.password)
        self._run(["push", image])

    def _run(self, arguments: list[str], text: str | None = None) -> None:
        stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if text is None else {"input": text}
        done = subprocess.run([self.path, *arguments], text=True, check=False, **stdin)
        if done.returncode:
            raise EngineFailed(
                f"`{self.kind} {' '.join(arguments)}` ended with exit code {done.returncode}; its own "
                "message is above."
            )


def find_engine(wanted: str = "") -> Engine:
    """Return the first container engine that works.

    Parameters
    ----------
    wanted
        The command of the one to use; default: docker, podman or buildah, whichever works first.

    Raises
    ------
    NoEngine
        If none works; the message says why for each.
    """
    reasons = []
    for name in [wanted] if wanted else ENGINES:
        path = shutil.which(name)
        if path is None:
            reasons.append(f"{name} is not on the PATH")
            continue
        says = _output([path, "--version"])
        kind = next((kind for kind in ENGINES if says.lower().startswith(kind)), None)
        if kind is None:
            reasons.append(f"{path} says of itself {says[:80]!r}, which is none of {', '.join(ENGINES)}")
            continue
        # A docker command without its daemon is of no use; the same holds for podman without its machine.
        if _succeeds([path, "info"]):
            return Engine(path, kind)
        lines = _output([path, "info"]).splitlines() or ["no answer"]
        reasons.append(f"{path} is there, but `{kind} info` fails: {lines[-1].strip()}")
    raise NoEngine(
        f"No container engine can build the image: {'; '.join(reasons)}. Install or start docker, podman or "
        "buildah, or give ENGINE=/path/to/one; a machine that has one may run `make image-push`, and then "
        "this one needs none."
    )


def _output(command: list[str]) -> str:
    """Return what a command prints, its errors included; nothing where it cannot be run."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_ENGINE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout.strip()


def _succeeds(command: list[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_ENGINE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
