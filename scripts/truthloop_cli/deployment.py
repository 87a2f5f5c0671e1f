"""What `make deploy ENV=…` and its siblings do: ``python -m truthloop_cli.deployment deploy --env dev``.

All checks come first; nothing is created while something is known to be wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from rich.console import Console
from rich.text import Text

from truthloop.errors import TruthloopError
from truthloop_cli import embedded, environments, images
from truthloop_cli.environments import Environment
from truthloop_cli.main import run
from truthloop_cli.stack import Stack, Terraform

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "scripts" / "build_lambdas.py"
#: Terraform's data and plans, by environment.
DATA = ROOT / "build" / "terraform"
# The embedded AWS runs the program from the source, whatever the image is called.
_LOCAL_TAG = "local"
# Destroying needs a tag as every command does, and uses none.
_NO_TAG = "none"


class NotConfirmed(TruthloopError):
    """Changing production takes a word more."""


class WrongAccount(TruthloopError):
    """The credentials are of an account that the environment does not allow, or there are none."""


class NotBootstrapped(TruthloopError):
    """The account lacks the state bucket."""


class BootstrapStateMissing(TruthloopError):
    """The state bucket exists, but not all that terraform/bootstrap makes, and its state is elsewhere."""


class Stopped(TruthloopError):
    """AWS, the network or the disk refused something in the middle."""


class BuildFailed(TruthloopError):
    """The Lambda packages could not be built."""


@dataclass(frozen=True)
class Order:
    """One command for one environment.

    Attributes
    ----------
    environment
        The checked environment.
    image_tag
        The image's tag; empty for the git revision.
    engine
        The container engine's command; empty for the first that works.
    """

    environment: Environment
    image_tag: str = ""
    engine: str = ""

    @property
    def name(self) -> str:
        return self.environment.name


# ---- the commands ------------------------------------------------------------------------------------------


def bootstrap(order: Order) -> None:
    """Make the account's state bucket and image repository."""
    environment = order.environment
    if environment.is_local:
        say("bootstrap", "ENV=local needs none: `make deploy ENV=local` makes what it needs.")
        return
    prefix = environments.bootstrap_prefix(environment)
    account = check_account(environment)
    if not environment.state_bucket.endswith(account):
        raise WrongAccount(
            f"These credentials are of account {account}, but the state bucket of ENV={order.name} is "
            f"{environment.state_bucket!r}, which carries another account's number. Nothing was created."
        )
    # One workspace, and so one local state, for each account that is bootstrapped from this machine.
    workspace = environment.state_bucket
    state = environment.folder / "bootstrap" / "terraform.tfstate.d" / workspace / "terraform.tfstate"
    if not state.exists() and bucket_exists(environment):
        if not image_repository_exists(environment, account):
            raise BootstrapStateMissing(
                f"The bucket {environment.state_bucket} exists, but its image repository does not, and "
                f"{state.relative_to(environment.folder.parent)} is not on this machine: put that file there "
                "(it is on the machine that ran `make bootstrap`), and run this again. Nothing was created."
            )
        say("bootstrap", f"account {account} has its state bucket and image repository; nothing to do")
        return
    variables = {
        "allowed_account_ids": json.dumps([account]),
        "aws_region": environment.region,
        "name_prefix": prefix,
    }
    variable = {"TF_WORKSPACE": workspace}
    with Terraform(environment.folder / "bootstrap", variable, DATA / f"bootstrap-{workspace}") as terraform:
        terraform.init()
        settings = [f"-var={key}={value}" for key, value in variables.items()]
        terraform.show(["apply", "-auto-approve", "-input=false", *settings])
    say(
        "bootstrap",
        f"account {account} is ready. What was made is recorded in "
        f"{state.relative_to(environment.folder.parent)}, which git ignores: keep it. "
        f"Next: make deploy ENV={order.name}",
    )


def init(order: Order) -> None:
    """Prepare Terraform, so that it can also be called by hand."""
    with _aws(order.environment), _stack(order, _NO_TAG) as stack:
        stack.init()
        say("init", f"terraform works on {order.name} with TF_DATA_DIR={_relative(DATA / order.name)}")


def plan(order: Order) -> None:
    """Show what a deploy would change."""
    with _aws(order.environment):
        _build()
        # Nothing is pushed, so uncommitted changes do no harm.
        with _stack(order, _image_tag(order, images.revision)) as stack:
            stack.init()
            stack.plan()


def deploy(order: Order) -> None:
    """Create or change the environment, with its image pushed before."""
    with _aws(order.environment) as account:
        tag = _image_tag(order)
        push = _pending_image(order, account, tag)
        _build()
        with _stack(order, tag) as stack:
            stack.init()
            file = (DATA / f"{order.name}.tfplan").resolve()
            try:
                stack.plan(file)
                if push:
                    push()
                stack.apply_plan(file)
            finally:
                # A plan holds the values of variables, and is of no use a second time.
                file.unlink(missing_ok=True)
            _next_step(order, stack.outputs())


def output(order: Order) -> None:
    """Print the environment's outputs."""
    if order.environment.is_local and not embedded.is_running():
        raise NotBootstrapped("No embedded AWS is running: run `make deploy ENV=local` first.")
    with _aws(order.environment), _stack(order, _NO_TAG) as stack:
        stack.init()
        stack.show_outputs()


def destroy(order: Order) -> None:
    """Destroy the environment; an embedded AWS that deploy started ends too."""
    if order.environment.is_local and not embedded.is_running():
        say("destroy", "no embedded AWS is running, and what was in it is gone with it; nothing to do")
        return
    with _aws(order.environment), _stack(order, _NO_TAG) as stack:
        _build()
        stack.init()
        stack.show_destroy()
    if order.environment.is_local:
        if embedded.stop():
            say("destroy", "the embedded AWS has ended")
        else:
            say("destroy", f"the embedded AWS on {embedded.endpoint()} stays: deploy did not start it")


def image_push(order: Order) -> None:
    """Build the image and push it, unless its tag is there."""
    if order.environment.is_local:
        say("image", "the embedded AWS runs the program from the source: there is no image to push")
        return
    with _aws(order.environment, state=False) as account:
        tag = _image_tag(order)
        push = _pending_image(order, account, tag)
        if push:
            push()


COMMANDS: dict[str, Callable[[Order], None]] = {
    "bootstrap": bootstrap,
    "init": init,
    "plan": plan,
    "deploy": deploy,
    "output": output,
    "destroy": destroy,
    "image-push": image_push,
}
# Those that create, change or delete something in the environment's account.
CHANGING = ("bootstrap", "deploy", "destroy")


# ---- the account -------------------------------------------------------------------------------------------


def check_account(environment: Environment) -> str:
    """Return the account of the credentials, which the environment must allow."""
    try:
        identity = boto3.client("sts", region_name=environment.region).get_caller_identity()
    except NoCredentialsError:
        raise WrongAccount(
            "There are no AWS credentials: sign in (`aws sso login`) and set AWS_PROFILE, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Nothing was created."
        ) from None
    except (BotoCoreError, ClientError) as error:
        raise WrongAccount(
            f"AWS did not say whose credentials these are: {error} Check AWS_PROFILE, sign in again "
            "(`aws sso login`), or look at the network. Nothing was created."
        ) from None
    account = str(identity["Account"])
    if account not in environment.accounts:
        raise WrongAccount(
            f"These credentials ({identity['Arn']}) are of account {account}; ENV={environment.name} allows "
            f"{', '.join(environment.accounts)}. Choose others (AWS_PROFILE=…), or change "
            f"allowed_account_ids in terraform/envs/{environment.name}.tfvars. Nothing was created."
        )
    return account


def bucket_exists(environment: Environment) -> bool:
    """Return whether the bucket for the state is there, as far as these credentials may know."""
    s3 = boto3.client("s3", region_name=str(environment.backend["region"]))
    try:
        s3.head_bucket(Bucket=environment.state_bucket)
    except ClientError as error:
        # Whoever may not look at the bucket learns from `terraform init` what is missing.
        return error.response["ResponseMetadata"]["HTTPStatusCode"] != 404
    return True


def image_repository_exists(environment: Environment, account: str) -> bool:
    """Return whether the repository that the environment's images come from is there."""
    try:
        images.Repository(environment.image_repository, account).has(_NO_TAG)
    except images.NoRepository:
        return False
    return True


@contextlib.contextmanager
def _aws(environment: Environment, state: bool = True) -> Iterator[str]:
    """Enter the environment's AWS and yield the account: credentials and state bucket are as they must be."""
    if environment.is_local:
        if not embedded.is_running():
            embedded.start()
            say(
                "local",
                f"started the embedded AWS on {embedded.endpoint()} in the background; its log is "
                f"{_relative(embedded.log())}, and `make destroy ENV=local` ends it",
            )
        with embedded.isolated(embedded.environment()):
            if not bucket_exists(environment):
                boto3.client("s3").create_bucket(Bucket=environment.state_bucket)
            yield environment.accounts[0]
        return
    account = check_account(environment)
    say("account", f"{account} in {environment.region}")
    if state and not bucket_exists(environment):
        raise NotBootstrapped(
            f"Account {account} has no bucket {environment.state_bucket!r} for the state: run "
            f"`make bootstrap ENV={environment.name}` first. Nothing was created."
        )
    yield account


# ---- the parts of a deployment -----------------------------------------------------------------------------


def _image_tag(order: Order, revision: Callable[[], str] = images.committed_revision) -> str:
    if order.image_tag:
        return order.image_tag
    return _LOCAL_TAG if order.environment.is_local else revision()


def _pending_image(order: Order, account: str, tag: str) -> Callable[[], None] | None:
    """Return what builds and pushes the image, None where its tag is there; an engine is found at once."""
    if order.environment.is_local:
        return None
    place = order.environment.image_repository
    repository = images.Repository(place, account)
    try:
        if repository.has(tag):
            say("image", f"{place.name}:{tag} is there")
            return None
    except images.NoRepository as error:
        raise images.NoRepository(
            f"{error}: run `make bootstrap ENV={order.name}` first, or name another one "
            f"(image_repository_name, existing.image_repository_arn in terraform/envs/{order.name}.tfvars). "
            "Nothing was created."
        ) from None
    engine = images.find_engine(order.engine)

    def push() -> None:
        login = repository.login()
        image = f"{login.uri}:{tag}"
        say("image", f"{engine.kind} builds and pushes {image}")
        engine.build(image)
        engine.push(image, login)

    return push


def _build() -> None:
    done = subprocess.run([sys.executable, str(BUILDER)], stdout=sys.stderr, check=False)
    if done.returncode:
        raise BuildFailed("The Lambda packages could not be built; see above. Nothing was created.")


def _stack(order: Order, tag: str) -> Stack:
    environment = order.environment
    aws = embedded.environment() if environment.is_local else {}
    return Stack(order.name, aws, {"image_tag": tag}, DATA / order.name, environment.folder)


def _next_step(order: Order, outputs: dict[str, Any]) -> None:
    say("deploy", f"{order.name} is up. Start a campaign in {outputs['state_machine_arn']}")
    if order.environment.is_local:
        settings = embedded.environment()
        shown = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
        say("", "The AWS CLI reaches it with:")
        for name in shown:
            say("", f"  export {name}={settings[name]}")
    say("", f"make output ENV={order.name} prints the outputs, make destroy ENV={order.name} removes all.")


def _relative(path: Path) -> Path:
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def say(step: str, text: str) -> None:
    """Tell a person what is going on; standard output belongs to Terraform, so that it can be piped."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text.assemble((f"{step:<10}", "bold"), text))


# ---- the command line --------------------------------------------------------------------------------------


def execute(
    command: str,
    name: str,
    confirm: str = "",
    image_tag: str = "",
    engine: str = "",
    folder: Path = environments.TERRAFORM,
) -> None:
    """Check an environment of a root stack's folder and run one of COMMANDS."""
    environment = environments.load(name, image_tag, folder)
    if command in CHANGING and environment.is_production and confirm != name:
        raise NotConfirmed(
            f"`{command}` changes production: add CONFIRM={name} if that is meant. Nothing was created."
        )
    try:
        COMMANDS[command](Order(environment, image_tag, engine))
    except (BotoCoreError, ClientError, OSError) as error:
        raise Stopped(f"ENV={name} stopped: {error}") from error


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="truthloop_cli.deployment", description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, "image"])
    parser.add_argument("--env", default="", help="the environment: a terraform/envs/<name>.tfvars")
    parser.add_argument("--confirm", default="", help="the environment's name again, to change production")
    parser.add_argument("--image-tag", default="", help="the image's tag (default: the git revision)")
    parser.add_argument("--engine", default="", help="container engine (default: the first that works)")
    given = parser.parse_args(argv)

    def program() -> None:
        if given.command == "image":
            image = f"truthloop:{given.image_tag or images.committed_revision()}"
            images.find_engine(given.engine).build(image)
            say("image", f"built {image}")
        else:
            execute(given.command, given.env, given.confirm, given.image_tag, given.engine)

    again = f"`make {given.command} ENV={given.env}` goes on" if given.env else "nothing was pushed"
    run(program, f"make {given.command}", f"interrupted; Terraform has kept its state, and {again}")


if __name__ == "__main__":
    main()
