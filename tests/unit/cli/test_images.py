"""Any engine that works builds the image, and a tag never says what is not so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from truthloop_cli import images
from truthloop_cli.environments import ImageRepository
from truthloop_cli.images import EngineFailed, NoEngine, NoRepository, NoTag
from unit.cli.fakes import ACCOUNT, IMAGE, Commands, push_image

ROOT = Path(__file__).resolve().parents[3]
DEAD = 'if [ "$1" = info ]; then echo "Cannot connect to the Docker daemon"; exit 1; fi'
NO_BUILDX = 'if [ "$1" = buildx ]; then echo "unknown command: docker buildx"; exit 1; fi'


# ---- the engine --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", images.ENGINES)
def test_whichever_engine_is_there_is_used(commands: Commands, name: str) -> None:
    commands.engine(name)
    assert images.find_engine().kind == name


def test_a_docker_command_without_its_daemon_is_passed_over(commands: Commands) -> None:
    commands.engine("docker", DEAD)
    commands.engine("buildah")
    assert images.find_engine().kind == "buildah"


def test_where_no_engine_works_one_message_says_why_for_each(commands: Commands) -> None:
    commands.engine("docker", DEAD)
    with pytest.raises(NoEngine) as refused:
        images.find_engine()
    message = str(refused.value)
    assert "`docker info` fails: Cannot connect to the Docker daemon" in message
    assert "podman is not on the PATH; buildah is not on the PATH" in message
    assert "ENGINE=" in message
    assert len(message.splitlines()) == 1


def test_an_engine_that_was_asked_for_is_the_only_one_tried(commands: Commands) -> None:
    commands.engine("docker")
    with pytest.raises(NoEngine, match="podman is not on the PATH") as refused:
        images.find_engine("podman")
    assert "docker is" not in str(refused.value)


def test_a_command_that_is_no_engine_is_refused(commands: Commands) -> None:
    commands.add("nerdctl", "echo nerdctl version 2")
    with pytest.raises(NoEngine, match="none of docker, podman, buildah"):
        images.find_engine("nerdctl")


def test_podman_under_the_name_of_docker_is_called_as_podman(commands: Commands) -> None:
    commands.add("docker", "echo podman version 5.0.0")
    engine = images.find_engine()
    assert engine.kind == "podman"
    engine.build("truthloop:t")
    assert not any("provenance" in call for call in commands.calls())


@pytest.mark.parametrize(
    ("name", "script", "begins"),
    [
        ("docker", "", "docker buildx build --load --provenance=false --platform linux/amd64"),
        ("docker", NO_BUILDX, "docker build --platform linux/amd64"),
        ("podman", "", "podman build --platform linux/amd64"),
        ("buildah", "", "buildah bud --platform linux/amd64"),
    ],
)
def test_each_engine_builds_for_the_platform_of_batch(
    commands: Commands, name: str, script: str, begins: str
) -> None:
    commands.engine(name, script)
    images.find_engine().build("truthloop:t")
    (call,) = commands.calls()
    assert call == f"{begins} --tag truthloop:t --file {ROOT}/batch_image/Dockerfile {ROOT}"


def test_a_failed_build_is_named_with_its_command(commands: Commands) -> None:
    commands.engine("podman", 'if [ "$1" = build ]; then exit 3; fi')
    with pytest.raises(EngineFailed, match=r"`podman build .* ended with exit code 3"):
        images.find_engine().build("truthloop:t")


@pytest.mark.parametrize("name", images.ENGINES)
def test_a_push_logs_in_with_a_password_that_no_command_line_shows(
    commands: Commands, bootstrapped: None, name: str
) -> None:
    commands.engine(name)
    repository = images.Repository(ImageRepository(None, "us-east-1", "acme"), ACCOUNT)
    login = repository.login()
    images.find_engine().push(f"{IMAGE}:t", login)
    registry = IMAGE.partition("/")[0]
    assert commands.calls() == [
        f"{name} login --username AWS --password-stdin {registry}",
        f"password {login.password}",
        f"{name} push {IMAGE}:t",
    ]


# ---- the repository ----------------------------------------------------------------------------------------


def test_a_tag_is_found_in_the_repository(bootstrapped: None) -> None:
    repository = images.Repository(ImageRepository(None, "us-east-1", "acme"), ACCOUNT)
    assert repository.login().uri == IMAGE
    assert not repository.has("t")
    push_image("t")
    assert repository.has("t")


def test_a_repository_that_is_not_there_is_named(aws: None) -> None:
    repository = images.Repository(ImageRepository(None, "us-east-1", "acme"), ACCOUNT)
    with pytest.raises(NoRepository, match=f"'acme' in us-east-1 of account {ACCOUNT}"):
        repository.has("t")


def test_a_repository_elsewhere_has_the_address_of_its_account_and_region(aws: None) -> None:
    repository = images.Repository(ImageRepository("999999999999", "eu-west-1", "shared/image"), ACCOUNT)
    assert repository.login().uri == "999999999999.dkr.ecr.eu-west-1.amazonaws.com/shared/image"


# ---- the tag -----------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with the image's files."""
    for folder in images.SOURCES:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "code.py").write_text("A = 1\n")
    (tmp_path / "README.md").write_text("Hello.\n")
    who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message=first"]):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)
    return tmp_path


def test_the_tag_is_the_revision_in_12_digits(checkout: Path) -> None:
    assert re.fullmatch("[0-9a-f]{12}", images.committed_revision(checkout))


@pytest.mark.parametrize("file", ["batch_image/code.py", "lambdas/shared/truthloop/new.py"])
def test_a_tag_that_would_lie_about_the_image_is_refused(checkout: Path, file: str) -> None:
    (checkout / file).write_text("A = 2\n")
    with pytest.raises(NoTag, match=re.escape(file)) as refused:
        images.committed_revision(checkout)
    assert "IMAGE_TAG=" in str(refused.value)
    assert images.revision(checkout)


def test_a_change_beside_the_image_leaves_its_tag_true(checkout: Path) -> None:
    (checkout / "README.md").write_text("Hello again.\n")
    assert images.committed_revision(checkout) == images.revision(checkout)


def test_without_a_checkout_a_tag_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(NoTag, match="IMAGE_TAG="):
        images.committed_revision(tmp_path)


def test_the_tag_is_about_the_files_that_the_image_is_made_of() -> None:
    dockerfile = (ROOT / "batch_image" / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+)", dockerfile, re.MULTILINE)
    assert copied
    assert all(any(path.startswith(source) for source in images.SOURCES) for path in copied)
