"""Every check comes before anything is created, and a deployment's steps come in their order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from truthloop.errors import TruthloopError
from truthloop_cli import deployment, embedded, images
from truthloop_cli.deployment import NotBootstrapped, NotConfirmed, WrongAccount
from unit.cli.fakes import ACCOUNT, IMAGE, STATE_BUCKET, Commands, Environments, push_image


def execute(envs: Environments, command: str, name: str = "team", **options: Any) -> None:
    deployment.execute(command, name, folder=envs.folder, **{"image_tag": "t1", **options})


def refusal(envs: Environments, error: type[TruthloopError], command: str, **options: Any) -> str:
    """The one message of a command that is refused."""
    with pytest.raises(error) as refused:
        execute(envs, command, **options)
    return str(refused.value)


def nothing_was_created(commands: Commands) -> bool:
    """Whether no tool was called, and the account is as empty as it was."""
    buckets = boto3.client("s3").list_buckets()["Buckets"]
    return not commands.calls() and not buckets


def steps(commands: Commands) -> list[str]:
    """The commands that were called, each with its verb."""
    return [
        " ".join(word for word in call.split()[:3] if not word.startswith("-chdir"))
        for call in commands.calls()
    ]


# ---- bad input, from the command line ----------------------------------------------------------------------


def command_line(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "truthloop_cli.deployment", *arguments]
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["deploy", "--env", "stagging"], "Did you mean staging?"),
        (["plan"], "Say which environment is meant"),
        (["deploy", "--env", "dev"], "still has the example's allowed_account_ids"),
        (["deploy", "--env", "local", "--image-tag", "latest"], "which does not say which image is meant"),
    ],
)
def test_bad_input_gives_one_message_and_no_traceback(arguments: list[str], says: str) -> None:
    refused = command_line(*arguments)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"make {arguments[0]}: ")
    assert says in refused.stderr
    assert "Traceback" not in refused.stderr


# ---- the account -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", deployment.COMMANDS)
def test_credentials_of_another_account_are_refused_before_anything_is_created(
    envs: Environments, aws: None, terraform: Commands, command: str
) -> None:
    envs.edit("team.tfvars", ACCOUNT, "999999999999")
    envs.edit("team.s3.tfbackend", ACCOUNT, "999999999999")
    message = refusal(envs, WrongAccount, command)
    assert f"of account {ACCOUNT}; ENV=team allows 999999999999" in message
    assert "AWS_PROFILE" in message
    assert nothing_was_created(terraform)


def test_without_credentials_the_message_says_how_to_get_some(
    envs: Environments, terraform: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert "aws sso login" in refusal(envs, WrongAccount, "deploy")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert "profile (gone)" in refusal(envs, WrongAccount, "deploy")
    assert not terraform.calls()


def test_without_a_state_bucket_bootstrap_is_named(
    envs: Environments, aws: None, terraform: Commands
) -> None:
    message = refusal(envs, NotBootstrapped, "deploy")
    assert f"no bucket '{STATE_BUCKET}'" in message
    assert "make bootstrap ENV=team" in message
    assert nothing_was_created(terraform)


@pytest.mark.parametrize("command", ["bootstrap", "deploy", "destroy"])
def test_changing_production_takes_its_name_again(
    envs: Environments, aws: None, terraform: Commands, command: str
) -> None:
    for file in ("tfvars", "s3.tfbackend"):
        envs.path(f"prod.{file}").write_text(envs.path(f"team.{file}").read_text().replace("team/", "prod/"))
    for confirm in ("", "yes", "dev"):
        with pytest.raises(NotConfirmed, match="CONFIRM=prod"):
            execute(envs, command, "prod", confirm=confirm)
    assert nothing_was_created(terraform)


def test_looking_at_production_takes_no_confirmation(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    for file in ("tfvars", "s3.tfbackend"):
        envs.path(f"prod.{file}").write_text(envs.path(f"team.{file}").read_text().replace("team/", "prod/"))
    execute(envs, "plan", "prod")
    assert steps(terraform) == ["terraform init", "terraform plan"]


# ---- the sequence ------------------------------------------------------------------------------------------


def test_a_deployment_plans_then_pushes_the_image_then_applies_that_plan(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    terraform.engine("podman")
    execute(envs, "deploy")
    assert [step for step in steps(terraform) if not step.startswith("password")] == [
        "terraform init",
        "terraform plan",
        "podman build --platform",
        "podman login --username",
        "podman push " + f"{IMAGE}:t1",
        "terraform apply",
        "terraform output",
    ]
    init, planned, applied, _ = terraform.calls("terraform")
    assert "-backend-config=envs/team.s3.tfbackend" in init
    assert "-reconfigure" in init
    assert "-var-file=envs/team.tfvars" in planned
    assert "-var=image_tag=t1" in planned
    file = planned.partition("-out=")[2].split()[0]
    assert file in applied


def test_an_image_that_is_there_is_not_built_and_needs_no_engine(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    push_image("t1")
    execute(envs, "deploy")
    execute(envs, "image-push")
    assert {step.split()[0] for step in steps(terraform)} == {"terraform"}


def test_without_an_engine_nothing_is_created(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    assert "docker is not on the PATH" in refusal(envs, images.NoEngine, "deploy")
    assert not terraform.calls()


def test_without_an_image_repository_nothing_is_created(
    envs: Environments, aws: None, terraform: Commands
) -> None:
    boto3.client("s3").create_bucket(Bucket=STATE_BUCKET)
    terraform.engine("podman")
    assert "make bootstrap ENV=team" in refusal(envs, images.NoRepository, "deploy")
    assert not terraform.calls()


def test_the_image_goes_to_the_repository_that_the_environment_names(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    arn = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/shared/truthloop"
    envs.edit("team.tfvars", "existing = {}", f'existing = {{ image_repository_arn = "{arn}" }}')
    boto3.client("ecr", region_name="eu-west-1").create_repository(repositoryName="shared/truthloop")
    terraform.engine("buildah")
    execute(envs, "image-push")
    push = terraform.calls("buildah")[-1]
    assert push == f"buildah push {ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/shared/truthloop:t1"


def test_destroying_asks_for_neither_image_nor_revision(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    execute(envs, "destroy", image_tag="")
    assert steps(terraform) == ["terraform init", "terraform destroy"]


def test_a_workspace_of_the_shell_does_not_choose_the_state(
    envs: Environments,
    bootstrapped: None,
    terraform: Commands,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TF_WORKSPACE", "mine")
    terraform.add("terraform", f'echo "workspace:$TF_WORKSPACE" >> {tmp_path}/workspaces')
    execute(envs, "plan")
    assert set((tmp_path / "workspaces").read_text().split()) == {"workspace:"}


def test_terraforms_failure_is_the_commands(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    terraform.add("terraform", 'case "$*" in *" plan "*) exit 1;; esac')
    terraform.engine("podman")
    with pytest.raises(TruthloopError, match="terraform plan ended with exit code 1"):
        execute(envs, "deploy")
    assert not terraform.calls("podman")
    assert "apply" not in " ".join(terraform.calls())


def test_an_interrupt_lets_terraform_keep_its_state(tmp_path: Path, commands: Commands) -> None:
    kept = tmp_path / "state"
    program = commands.folder / "terraform"
    program.write_text(
        f"""#!{sys.executable}
import pathlib, signal, sys, time

def end(*_):
    pathlib.Path({str(kept)!r}).write_text("kept")
    sys.exit(1)

signal.signal(signal.SIGINT, end)
print("ready", flush=True)
time.sleep(60)
"""
    )
    program.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from truthloop_cli.main import run; "
        "from truthloop_cli.stack import Terraform; "
        "terraform = Terraform(Path('.'), {}, Path(sys.argv[1])); "
        "run(lambda: terraform.show(['apply']), 'make deploy', 'was interrupted')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read().strip() == "was interrupted"
    assert kept.read_text() == "kept"


# ---- bootstrap ---------------------------------------------------------------------------------------------


def test_bootstrap_takes_account_region_and_prefix_from_the_environment(
    envs: Environments, aws: None, terraform: Commands
) -> None:
    execute(envs, "bootstrap")
    init, applied = terraform.calls("terraform")
    assert f"-chdir={envs.folder}/bootstrap init" in init
    assert "backend-config" not in init
    for setting in (f'allowed_account_ids=["{ACCOUNT}"]', "aws_region=us-east-1", "name_prefix=acme"):
        assert f"-var={setting}" in applied


def test_each_account_has_a_bootstrap_state_of_its_own(
    envs: Environments, aws: None, terraform: Commands, tmp_path: Path
) -> None:
    terraform.add("terraform", f'echo "$TF_WORKSPACE" >> {tmp_path}/workspaces')
    execute(envs, "bootstrap")
    assert set((tmp_path / "workspaces").read_text().split()) == {STATE_BUCKET}


def test_bootstrapping_twice_does_no_harm(
    envs: Environments, bootstrapped: None, terraform: Commands
) -> None:
    # On another machine, without the state of the first time.
    execute(envs, "bootstrap")
    assert not terraform.calls()


def test_a_bootstrap_that_was_broken_off_elsewhere_asks_for_its_state(
    envs: Environments, aws: None, terraform: Commands
) -> None:
    boto3.client("s3").create_bucket(Bucket=STATE_BUCKET)
    message = refusal(envs, deployment.BootstrapStateMissing, "bootstrap")
    assert f"terraform/bootstrap/terraform.tfstate.d/{STATE_BUCKET}/terraform.tfstate" in message
    assert not terraform.calls()


# ---- the embedded AWS --------------------------------------------------------------------------------------


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A port on which nothing listens, and a folder without a record."""
    monkeypatch.setattr(embedded, "PORT", 9)
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "local-aws")


def test_destroying_what_went_with_its_embedded_aws_is_done_at_once(
    envs: Environments, terraform: Commands, no_server: None, capfd: pytest.CaptureFixture[str]
) -> None:
    execute(envs, "destroy", "local")
    assert "nothing to do" in capfd.readouterr().err
    assert not terraform.calls()


def test_the_outputs_of_what_is_not_deployed_are_refused(
    envs: Environments, terraform: Commands, no_server: None
) -> None:
    with pytest.raises(NotBootstrapped, match="make deploy ENV=local"):
        execute(envs, "output", "local")


def test_a_local_deployment_starts_an_embedded_aws_that_destroy_ends_and_uses_no_real_credentials(
    envs: Environments, terraform: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: int
) -> None:
    monkeypatch.setattr(embedded, "PORT", free_port)
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "local-aws")
    monkeypatch.setenv("AWS_PROFILE", "a-real-one")
    terraform.add(
        "terraform",
        f'echo "$AWS_PROFILE $AWS_ACCESS_KEY_ID $AWS_ENDPOINT_URL" >> {tmp_path}/seen\n'
        'case "$*" in *" output -json"*) echo \'{"state_machine_arn": {"value": "arn:machine"}}\';; esac',
    )
    try:
        execute(envs, "deploy", "local", image_tag="")
        assert embedded.is_running()
        execute(envs, "deploy", "local", image_tag="")
        execute(envs, "destroy", "local")
        assert not embedded.is_running()
    finally:
        embedded.stop()
    seen = set((tmp_path / "seen").read_text().splitlines())
    assert seen == {f" AKIAEMBEDDEDOPERATOR http://127.0.0.1:{free_port}"}
    assert steps(terraform).count("terraform apply") == 2
    assert os.environ["AWS_PROFILE"] == "a-real-one"


def test_an_embedded_aws_that_somebody_else_started_is_left_alone(
    envs: Environments,
    terraform: Commands,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from local_aws.process import LocalAws

    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "local-aws")
    with LocalAws() as aws:
        monkeypatch.setattr(embedded, "PORT", int(aws.endpoint.rpartition(":")[2]))
        execute(envs, "deploy", "local")
        execute(envs, "destroy", "local")
        assert "stays: deploy did not start it" in capfd.readouterr().err
        assert embedded.is_running()


def test_a_port_that_something_else_has_is_refused(
    envs: Environments, terraform: Commands, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setattr(embedded, "PORT", free_port)
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", str(free_port), "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        with socket.socket() as client:
            while client.connect_ex(("127.0.0.1", free_port)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with pytest.raises(embedded.EmbeddedAwsFailed, match=f"Port {free_port}.*LocalStack"):
            execute(envs, "deploy", "local")
    finally:
        server.kill()
        server.wait()
    assert not terraform.calls()
