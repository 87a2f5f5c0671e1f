"""Names carry the prefix and fit their services; environments differ in values alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from terraform.checks.registry import check
from terraform.repository import Repository, parse_hcl, some

# The longest name that each module may be given, by the quotas in the services' own guides. Where a module
# names more than one thing, the tightest counts: a state machine may have 80 characters, but its role 64.
_LONGEST = {
    "batch": 64 - len("-batch-execution"),
    "dead_letter_queue": 80,
    "event_rule": 64,
    "labeling": 63,
    "lambda_function": 64,
    "lambda_layer": 64,
    "network": 255 - len("-endpoints"),
    "notifications": 256,
    "state_machine": 64,
    "storage": 63,
    "table": 255,
}
_NAMING_INPUTS = {
    "bucket_name",
    "function_name",
    "layer_name",
    "name",
    "name_prefix",
    "role_name",
    "workteam_name",
}
_NAMING_ARGUMENTS = {"bucket", "function_name", "layer_name", "name", "workteam_name"}
_NOT_WRITTEN_DOWN = {
    "an account id": re.compile(r"\b\d{12}\b"),
    "a partition": re.compile(r"arn:aws[:-]"),
    "a folder of one machine": re.compile(r"\"/(?!aws/)[\w.-]+/"),
}
_REGION = re.compile(r"\b[a-z]{2}(-[a-z]+)+-\d\b")


def _names(repository: Repository) -> list[tuple[str, str, str]]:
    """(module call, module, name) of everything that the root names, with `local.names` filled in."""
    names = some(repository.root.locals().get("names"), "names in the root's locals")
    found = []
    for call, body in repository.root.named("module").items():
        module = body["source"].rpartition("/")[2]
        for key in sorted(_NAMING_INPUTS & body.keys()):
            name = str(body[key])
            if name.startswith("${module."):
                continue  # It names what another module makes.
            local = re.fullmatch(r"\$\{local\.names\.(\w+)\}", name)
            name = str(names.get(local[1])) if local else name
            folders = repository.functions() if "each.key" in name else [""]
            for folder in folders:
                filled = re.sub(r"\$\{replace\(each\.key[^}]*\}", folder.replace("_", "-"), name)
                found.append((call, module, filled))
    return some(found, "names")


@check
def every_name_begins_with_the_prefix(repository: Repository) -> Iterator[str]:
    for call, _, name in _names(repository):
        if not name.startswith("${var.name_prefix}"):
            yield f"module {call} is given the name {name!r}, which does not begin with the name prefix"


@check
def modules_take_their_names_from_their_inputs(repository: Repository) -> Iterator[str]:
    for stack in repository.modules():
        for (type_, label), body in stack.typed("resource").items():
            if type_ == "aws_iam_role_policy":
                continue  # It is named inside its role.
            for key in sorted(_NAMING_ARGUMENTS & body.keys()):
                if "${" not in str(body[key]):
                    yield f"{stack.path}: {type_}.{label} has the fixed {key} {body[key]!r}"


@check
def no_name_is_longer_than_its_service_allows(repository: Repository) -> Iterator[str]:
    prefix = repository.root.named("variable").get("name_prefix", {})
    longest = re.search(r"length\(var\.name_prefix\) <= (\d+)", str(prefix.get("validation")))
    if longest is None:
        yield "the root's name_prefix has no greatest length"
        return
    for call, module, name in _names(repository):
        filled = name.replace("${var.name_prefix}", "p" * int(longest[1]))
        filled = filled.replace("${local.account_id}", "1" * 12)
        if len(filled) > _LONGEST[module] or "${" in filled:
            yield f"module {call}: {name!r} may have {len(filled)} characters, allowed are {_LONGEST[module]}"


@check
def every_environment_sets_the_same_variables(repository: Repository) -> Iterator[str]:
    settings = {
        path: set(parse_hcl(text)) for path, text in repository.matching("terraform/envs/*.tfvars").items()
    }
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
            code = re.sub(r"#.*", "", text)
            for what, pattern in _NOT_WRITTEN_DOWN.items():
                for match in pattern.finditer(code):
                    yield f"{stack.path}/{name} holds {what}: {match[0]}"
            for line in code.splitlines():
                if _REGION.search(line) and 'default     = "us-east-1"' not in line:
                    yield f"{stack.path}/{name} holds a region: {line.strip()}"
