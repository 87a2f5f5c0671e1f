"""Environments differ in values alone, each value fits its variable, and none is a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from terraform.checks.registry import check
from terraform.expressions import written
from terraform.repository import Repository, parse_hcl, some
from terraform.types import misfits

_NOT_WRITTEN_DOWN = {
    "an account id": re.compile(r"\b\d{12}\b"),
    "a partition": re.compile(r"arn:aws[:-]"),
    "a folder of one machine": re.compile(r"\"/(?!aws/|dev/xvd)[\w.-]+/"),
}
_SECRETS = {
    "an access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "a secret": re.compile(
        r"\b(\w+_)?(password|passwd|secret|api_?key|secret_key|access_key|access_token)\s*=\s*\"[^\"$]+\"",
        re.I,
    ),
}
_REGION = re.compile(r"\b[a-z]{2}(-[a-z]+)+-\d\b")


def _settings(repository: Repository) -> dict[str, Mapping[str, Any]]:
    """The variables of each environment, by its path."""
    return {path: parse_hcl(text) for path, text in repository.matching("terraform/envs/*.tfvars").items()}


@check
def every_environment_sets_the_same_variables(repository: Repository) -> Iterator[str]:
    settings = {path: set(values) for path, values in _settings(repository).items()}
    everything = some(set.union(*settings.values()), "settings in *.tfvars")
    variables = repository.root.named("variable")
    # The image's tag is what a deployment is of; it comes with the command.
    required = {name for name, body in variables.items() if "default" not in body} - {"image_tag"}
    for path, found in settings.items():
        for key in sorted((everything | required) - found):
            yield f"{path} does not set {key}"
        for key in sorted(found - variables.keys()):
            yield f"{path} sets {key}, which is no variable"


@check
def every_value_fits_its_variable(repository: Repository) -> Iterator[str]:
    variables = repository.root.named("variable")
    for path, values in _settings(repository).items():
        for name in sorted(values.keys() & variables.keys()):
            if values[name] is None and variables[name].get("nullable") is False:
                yield f"{path}: {name} must not be null"
            elif values[name] is not None:
                yield from misfits(values[name], _type(variables[name]), f"{path}: {name}")
    for stack in repository.stacks():
        for name, body in stack.named("variable").items():
            if body.get("default") is not None:
                yield from misfits(body["default"], _type(body), f"{stack.path}: the default of {name}")


def _type(variable: Mapping[str, Any]) -> str:
    return written(variable["type"]).strip('"')


@check
def no_two_environments_share_a_name(repository: Repository) -> Iterator[str]:
    prefixes = {path: values.get("name_prefix") for path, values in _settings(repository).items()}
    for path, prefix in prefixes.items():
        if list(prefixes.values()).count(prefix) > 1:
            yield f"{path} has the name prefix {prefix}, as another environment does"
    for path, text in repository.matching("terraform/envs/*.s3.tfbackend").items():
        name = path.rpartition("/")[2].removesuffix(".s3.tfbackend")
        if name not in str(parse_hcl(text).get("key")):
            yield f"{path} keeps its state under a key that does not name {name}"


@check
def production_is_protected(repository: Repository) -> Iterator[str]:
    path = "terraform/envs/prod.tfvars"
    values = parse_hcl(repository.text(path))
    if values.get("protect_data") is not True:
        yield f"{path} does not protect its data"
    if values.get("create_kms_key") is not True and not values.get("kms_key_arn"):
        yield f"{path} has no KMS key of its own"
    if "SPOT" in str(values.get("batch")):
        yield f"{path} runs its jobs where they may be interrupted"


@check
def no_secret_is_written_down(repository: Repository) -> Iterator[str]:
    places = {
        path: text
        for path, text in repository.files.items()
        if path.startswith("terraform/") and path.endswith((".tf", ".tfvars", ".tfbackend", ".json"))
    }
    for path, text in some(places, "Terraform files").items():
        for what, pattern in _SECRETS.items():
            if match := pattern.search(text):
                yield f"{path} holds {what}: {match[0][:20]}…"


@check
def every_environment_has_a_locked_state_of_its_own(repository: Repository) -> Iterator[str]:
    backends = {
        path: parse_hcl(text) for path, text in repository.matching("terraform/envs/*.s3.tfbackend").items()
    }
    environments = {path.removesuffix(".tfvars") for path in repository.matching("terraform/envs/*.tfvars")}
    for name in sorted(environments ^ {path.removesuffix(".s3.tfbackend") for path in backends}):
        yield f"{name} must have both a .tfvars and a .s3.tfbackend"
    everything = set.union(*(set(body) for body in backends.values()))
    for path, body in backends.items():
        if body.get("encrypt") is not True or body.get("use_lockfile") is not True:
            yield f"{path} must have encrypt = true and use_lockfile = true"
        for key in sorted(
            body.keys() & {"access_key", "dynamodb_table", "endpoints", "profile", "secret_key"}
        ):
            yield f"{path} sets {key}, which does not belong into the repository"
        for key in sorted(everything - body.keys()):
            yield f"{path} does not set {key}, which another environment sets"
    if len({(body.get("bucket"), body.get("key")) for body in backends.values()}) < len(backends):
        yield "two environments have the same bucket and key for their state"


@check
def the_provider_is_held_to_its_accounts_and_tags_everything(repository: Repository) -> Iterator[str]:
    for stack in repository.roots():
        for provider in some(stack.named("provider"), f"providers in {stack.path}").values():
            for key in ("allowed_account_ids", "default_tags"):
                if key not in provider:
                    yield f"{stack.path}: the provider has no {key}"


@check
def no_account_region_or_partition_is_written_down(repository: Repository) -> Iterator[str]:
    for stack in repository.stacks():
        for name, text in stack.files.items():
            # A message may show what an ARN looks like.
            code = re.sub(r"#.*|^ *(error_message|description) *=.*", "", text, flags=re.MULTILINE)
            for what, pattern in _NOT_WRITTEN_DOWN.items():
                for match in pattern.finditer(code):
                    yield f"{stack.path}/{name} holds {what}: {match[0]}"
            for line in code.splitlines():
                if _REGION.search(line) and 'default     = "us-east-1"' not in line:
                    yield f"{stack.path}/{name} holds a region: {line.strip()}"


@check
def every_state_lies_in_the_bucket_that_the_bootstrap_makes(repository: Repository) -> Iterator[str]:
    bootstrap = repository.stack("terraform/bootstrap")
    prefix = bootstrap.named("variable").get("name_prefix", {}).get("default")
    made = str(bootstrap.named("module").get("state", {}).get("bucket_name"))
    made = made.replace("${var.name_prefix}", str(prefix))
    for path, values in _settings(repository).items():
        backend = parse_hcl(repository.text(path.removesuffix(".tfvars") + ".s3.tfbackend"))
        # The embedded AWS makes its bucket itself.
        if not path.endswith("/local.tfvars"):
            account = "".join(values.get("allowed_account_ids", []))
            wanted = made.replace("${data.aws_caller_identity.current.account_id}", account)
            if backend.get("bucket") != wanted:
                yield f"{path}: the state must lie in {wanted}, not in {backend.get('bucket')}"
            if backend.get("region") != values.get("aws_region"):
                yield f"{path}: the state must lie in {values.get('aws_region')}, where the environment is"
