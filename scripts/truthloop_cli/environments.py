"""Reads an environment of terraform/envs and says all that is wrong with it, before anything is contacted."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truthloop.errors import TruthloopError

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
#: The environment that lives in the embedded AWS.
LOCAL = "local"

# What the root's variables name_prefix and image_tag allow; tests compare these with Terraform's validations.
NAME_PREFIX_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
NAME_PREFIX_LONGEST = 32
IMAGE_TAG_PATTERN = r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$"
# Of all names that the stack makes, this comes closest to what its service allows.
_LONGEST_NAME = "-labeling-job-state-change"
_LONGEST_NAME_OF = "event rule"
_LONGEST_NAME_ALLOWED = 64

_ACCOUNT = re.compile(r"\d{12}")
# What stands in the shipped files where a team's own values belong.
_PLACEHOLDER = re.compile(r"111122223333|444455556666|777788889999|EXAMPLE|^example|@example\.")
# Deploying gives this one: it is what a deployment is of.
_IMAGE_TAG = "image_tag"
_BACKEND_KEYS = ("bucket", "key", "region")


class UnknownEnvironment(TruthloopError):
    """There is no environment of this name."""


class UnusableEnvironment(TruthloopError):
    """An environment's files cannot be used; carries every problem that was found, not only the first."""

    def __init__(self, name: str, problems: list[str]) -> None:
        self.problems = tuple(problems)
        if len(problems) == 1:
            text = f"ENV={name} cannot be used; nothing was created. {problems[0]}"
        else:
            lines = (f"\n{number}. {problem}" for number, problem in enumerate(problems, start=1))
            text = f"ENV={name} has {len(problems)} problems; nothing was created.{''.join(lines)}"
        super().__init__(text)


class UnreadableFile(TruthloopError):
    """A file is not in the language that Terraform reads."""


@dataclass(frozen=True)
class ImageRepository:
    """The ECR repository of the Batch image; account None for the one that the stack is deployed to."""

    account: str | None
    region: str
    name: str


@dataclass(frozen=True)
class Environment:
    """A checked environment.

    Attributes
    ----------
    name
        Its files are terraform/envs/<name>.tfvars and <name>.s3.tfbackend.
    settings
        The tfvars, and the defaults of the variables that they leave out.
    backend
        Where its state is.
    folder
        The root stack's folder.
    """

    name: str
    settings: Mapping[str, Any]
    backend: Mapping[str, Any]
    folder: Path

    @property
    def is_local(self) -> bool:
        return self.name == LOCAL

    @property
    def is_production(self) -> bool:
        """Whether changing it takes CONFIRM: prod, and what a team calls prod-eu or production."""
        return self.name.startswith("prod")

    @property
    def accounts(self) -> list[str]:
        return [str(account) for account in self.settings["allowed_account_ids"]]

    @property
    def region(self) -> str:
        return str(self.settings["aws_region"])

    @property
    def state_bucket(self) -> str:
        return str(self.backend["bucket"])

    @property
    def image_repository(self) -> ImageRepository:
        arn = (self.settings.get("existing") or {}).get("image_repository_arn")
        if arn:
            _, _, _, region, account, resource = arn.split(":", 5)
            return ImageRepository(account, region, resource.removeprefix("repository/"))
        return ImageRepository(None, self.region, str(self.settings["image_repository_name"]))


def names(folder: Path = TERRAFORM) -> list[str]:
    """Return the names of all environments."""
    return sorted(path.stem for path in (folder / "envs").glob("*.tfvars"))


def load(name: str, image_tag: str = "", folder: Path = TERRAFORM) -> Environment:
    """Return an environment that nothing is wrong with, as far as its files tell.

    Parameters
    ----------
    name
        The environment.
    image_tag
        The image's tag if one was asked for, which is checked along.
    folder
        The root stack's folder.

    Raises
    ------
    UnknownEnvironment
        If there is none of this name.
    UnusableEnvironment
        With every problem of its files.
    """
    known = names(folder)
    if name not in known:
        raise UnknownEnvironment(_unknown(name, known))
    problems: list[str] = []
    settings = _parsed(folder / "envs" / f"{name}.tfvars", problems)
    backend = _backend(name, folder, problems)
    variables = _variables(folder)
    if settings is not None:
        problems += _key_problems(name, settings, variables, folder)
        problems += _value_problems(name, settings)
    if backend is not None:
        problems += _backend_problems(name, backend, folder)
    if image_tag and (image_tag == "latest" or not re.fullmatch(IMAGE_TAG_PATTERN, image_tag)):
        problems.append(
            f"IMAGE_TAG is {image_tag!r}; allowed: 1 to 128 letters, digits, underscores, dots and hyphens, "
            "and not latest, which does not say which image is meant."
        )
    if problems or settings is None or backend is None:
        raise UnusableEnvironment(name, problems)
    defaults = {key: body["default"] for key, body in variables.items() if "default" in body}
    return Environment(name, {**defaults, **settings}, backend, folder)


def bootstrap_prefix(environment: Environment) -> str:
    """Return terraform/bootstrap's name_prefix for an environment.

    It begins the state bucket's name and is the image repository's.

    Raises
    ------
    UnusableEnvironment
        If the environment names another bucket, region or repository than terraform/bootstrap would make.
    """
    name, problems = environment.name, []
    bucket = f"terraform/envs/{name}.s3.tfbackend has the bucket {environment.state_bucket!r}"
    match = re.fullmatch(r"(.+)-state-(\d{12})", environment.state_bucket)
    if not match or match[2] not in environment.accounts:
        problems.append(
            f"{bucket}; terraform/bootstrap makes <prefix>-state-<account>, such as "
            f"truthloop-state-{environment.accounts[0]}. Write that name into the file; a bucket made "
            "elsewhere needs no bootstrap."
        )
    elif len(match[1]) > NAME_PREFIX_LONGEST or not re.fullmatch(NAME_PREFIX_PATTERN, match[1]):
        problems.append(
            f"{bucket}, whose prefix must have at most {NAME_PREFIX_LONGEST} lower-case letters and digits, "
            "with single hyphens between them."
        )
    repository = environment.image_repository
    if match and repository.account is None and repository.name != match[1]:
        problems.append(
            f"image_repository_name is {repository.name!r}, but terraform/bootstrap makes the repository "
            f"{match[1]!r}, by the state bucket's prefix: give both the same, or set "
            "existing.image_repository_arn to use a repository made elsewhere."
        )
    if environment.backend["region"] != environment.region:
        problems.append(
            f"terraform/envs/{name}.s3.tfbackend has the region {environment.backend['region']!r}, "
            f"{name}.tfvars the aws_region {environment.region!r}: terraform/bootstrap makes the bucket in "
            "aws_region, so they must be the same."
        )
    if problems or not match:
        raise UnusableEnvironment(name, problems)
    return match[1]


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return "There is no environment: terraform/envs holds no <name>.tfvars."
    if not name:
        return f"Say which environment is meant, with ENV=…: {', '.join(known)}."
    return (
        f"There is no environment {name!r}, but: {', '.join(known)}.{_did_you_mean(name, known)} To add one, "
        f"copy terraform/envs/dev.tfvars and dev.s3.tfbackend to {name}.* and put your own values."
    )


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _parse(path: Path) -> Mapping[str, Any]:
    """Parse a file of Terraform's language; strings come without quotes."""
    try:
        # lark is what hcl2 parses with, and its errors are hcl2's.
        import hcl2  # noqa: F401
        from lark.exceptions import LarkError
    except ImportError:
        raise UnreadableFile(
            "python-hcl2 is missing, which reads Terraform's files: run `make setup`, or "
            "`pip install -e '.[cli]'`."
        ) from None
    try:
        return _parse_text(path.read_text(encoding="utf-8"))
    except LarkError as error:
        line = getattr(error, "line", None)
        place = f", line {line}" if isinstance(line, int) and line > 0 else ""
        raise UnreadableFile(
            f"{path.parent.name}/{path.name}{place}: this is not Terraform's language; "
            f"`terraform fmt {path.name}` says more."
        ) from None


@functools.cache
def _parse_text(text: str) -> Mapping[str, Any]:
    import hcl2

    options = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False, with_comments=False)
    # The grammar wants the last line to end.
    parsed: Mapping[str, Any] = hcl2.loads(text + "\n", serialization_options=options)
    return parsed


def _parsed(path: Path, problems: list[str]) -> Mapping[str, Any] | None:
    try:
        return _parse(path)
    except UnreadableFile as error:
        problems.append(str(error))
        return None


def _backend(name: str, folder: Path, problems: list[str]) -> Mapping[str, Any] | None:
    path = folder / "envs" / f"{name}.s3.tfbackend"
    if not path.is_file():
        problems.append(
            f"terraform/envs/{path.name} is missing, which says where the state is kept: copy another "
            f'environment\'s and change its key to "{name}/terraform.tfstate".'
        )
        return None
    return _parsed(path, problems)


def _variables(folder: Path) -> dict[str, Mapping[str, Any]]:
    blocks = _parse(folder / "variables.tf").get("variable", [])
    return {name: body for block in blocks for name, body in block.items()}


def _key_problems(
    name: str, settings: Mapping[str, Any], variables: Mapping[str, Mapping[str, Any]], folder: Path
) -> Iterator[str]:
    file = f"terraform/envs/{name}.tfvars"
    required = {key for key, body in variables.items() if "default" not in body} - {_IMAGE_TAG}
    others: dict[str, str] = {}
    for other in names(folder):
        if other != name:
            # Another environment's mistakes are no reason to refuse this one.
            for key in _parsed(folder / "envs" / f"{other}.tfvars", []) or {}:
                others.setdefault(key, other)
    for key in sorted(required - settings.keys()):
        yield f"{file} does not set {key}: {variables[key].get('description', 'it is required.')}"
    for key in sorted((others.keys() & variables.keys()) - required - {_IMAGE_TAG} - settings.keys()):
        yield (
            f"{file} does not set {key}, as {others[key]}.tfvars does: all environments set the same keys, "
            "so that nobody has to guess which default holds."
        )
    for key in sorted(settings.keys() - variables.keys()):
        remedy = _did_you_mean(key, list(variables)) or " terraform/README.md lists them."
        yield f"{file} sets {key}, which is no variable of the stack.{remedy}"
    if _IMAGE_TAG in settings:
        yield f"{file} sets {_IMAGE_TAG}, which comes with the command: give IMAGE_TAG=… there."


def _value_problems(name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    file = f"terraform/envs/{name}.tfvars"
    prefix = settings.get("name_prefix")
    if isinstance(prefix, str):
        if not re.fullmatch(NAME_PREFIX_PATTERN, prefix):
            yield (
                f"{file} has the name_prefix {prefix!r}; allowed: lower-case letters and digits with single "
                "hyphens between them, beginning with a letter."
            )
        if len(prefix) > NAME_PREFIX_LONGEST:
            longest = prefix + _LONGEST_NAME
            yield (
                f"{file} has the name_prefix {prefix!r} of {len(prefix)} characters; allowed: at most "
                f"{NAME_PREFIX_LONGEST}. The longest name made of it, the {_LONGEST_NAME_OF} {longest!r}, "
                f"would have {len(longest)}; AWS allows {_LONGEST_NAME_ALLOWED}."
            )
    accounts = settings.get("allowed_account_ids")
    if isinstance(accounts, list):
        if not accounts:
            yield f"{file} allows no account: put yours into allowed_account_ids."
        for account in accounts:
            if not isinstance(account, str) or not _ACCOUNT.fullmatch(account):
                yield f"{file} has the account {account!r}; allowed: the 12 digits of one, in quotes."
    elif accounts is not None:
        yield f'{file} has {accounts!r} as allowed_account_ids; allowed: a list, such as ["123456789012"].'
    if name != LOCAL:
        yield from _placeholder_problems(file, settings)


def _backend_problems(name: str, backend: Mapping[str, Any], folder: Path) -> Iterator[str]:
    file = f"terraform/envs/{name}.s3.tfbackend"
    for other in sorted((folder / "envs").glob("*.s3.tfbackend")):
        theirs = {} if other.name == Path(file).name else _parsed(other, []) or {}
        if theirs and all(theirs.get(key) == backend.get(key) for key in ("bucket", "key")):
            yield (
                f"{file} has the same bucket and key as {other.name}: a deployment would replace that "
                f'environment. Change the key, such as to "{name}/terraform.tfstate".'
            )
    for key in _BACKEND_KEYS:
        if not backend.get(key):
            yield f"{file} does not set {key}."
    if backend.get("use_lockfile") is not True:
        yield f"{file} must have use_lockfile = true: two deployments at a time would spoil the state."
    if backend.get("encrypt") is not True:
        yield f"{file} must have encrypt = true."
    if name != LOCAL:
        yield from _placeholder_problems(file, backend)


def _placeholder_problems(file: str, values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        for text in dict.fromkeys(_texts(value)):
            if _PLACEHOLDER.search(text):
                yield f"{file} still has the example's {key} {text!r}: put your own."


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
