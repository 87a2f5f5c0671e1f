"""An environment is refused with one message that has all its problems, before anything is contacted."""

from __future__ import annotations

import re
import sys
from typing import Any

import hcl2
import pytest

from truthloop_cli import environments
from truthloop_cli.environments import UnknownEnvironment, UnusableEnvironment
from unit.cli.fakes import ACCOUNT, STATE_BUCKET, TERRAFORM, Environments

OPTIONS = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False, with_comments=False)


def problems(envs: Environments, name: str = "team", image_tag: str = "") -> tuple[str, ...]:
    with pytest.raises(UnusableEnvironment) as refused:
        environments.load(name, image_tag, envs.folder)
    return refused.value.problems


def validation(variable: str) -> str:
    blocks: dict[str, Any] = hcl2.loads(
        (TERRAFORM / "variables.tf").read_text(), serialization_options=OPTIONS
    )
    bodies = {name: body for block in blocks["variable"] for name, body in block.items()}
    return str(bodies[variable]["validation"])


# ---- what can be used --------------------------------------------------------------------------------------


def test_an_environment_with_a_teams_own_values_is_read_with_the_defaults_it_leaves_out(
    envs: Environments,
) -> None:
    team = environments.load("team", folder=envs.folder)
    assert (team.accounts, team.region, team.state_bucket) == ([ACCOUNT], "us-east-1", STATE_BUCKET)
    assert team.settings["log_level"] == "INFO"
    assert not team.is_local
    assert not team.is_production


def test_the_local_environment_can_be_used_as_it_is_shipped() -> None:
    assert environments.load("local").is_local


def test_every_other_shipped_environment_is_refused_until_its_placeholders_are_replaced() -> None:
    shipped = [name for name in environments.names() if name != "local"]
    assert {"dev", "prod", "staging"} <= set(shipped)
    for name in shipped:
        with pytest.raises(UnusableEnvironment, match="still has the example's allowed_account_ids"):
            environments.load(name)


@pytest.mark.parametrize(("name", "production"), [("prod", True), ("prod-eu", True), ("team", False)])
def test_what_is_called_prod_is_production(envs: Environments, name: str, production: bool) -> None:
    for file in ("tfvars", "s3.tfbackend"):
        text = envs.path(f"team.{file}").read_text().replace("team/", f"{name}-2/")
        envs.path(f"{name}.{file}").write_text(text)
    assert environments.load(name, folder=envs.folder).is_production is production


def test_an_image_repository_elsewhere_is_taken_from_its_arn(envs: Environments) -> None:
    arn = "arn:aws:ecr:eu-west-1:999999999999:repository/shared/truthloop"
    envs.edit("team.tfvars", "existing = {}", f'existing = {{ image_repository_arn = "{arn}" }}')
    place = environments.load("team", folder=envs.folder).image_repository
    assert (place.account, place.region, place.name) == ("999999999999", "eu-west-1", "shared/truthloop")


# ---- what is refused ---------------------------------------------------------------------------------------


def test_an_unknown_environment_is_told_those_there_are(envs: Environments) -> None:
    with pytest.raises(
        UnknownEnvironment, match=r"'tem', but: dev, local, prod, staging, team. Did you mean team"
    ):
        environments.load("tem", folder=envs.folder)


def test_a_forgotten_environment_is_asked_for(envs: Environments) -> None:
    with pytest.raises(UnknownEnvironment, match=r"ENV=….*dev, local"):
        environments.load("", folder=envs.folder)


def test_a_missing_required_key_is_named_with_its_purpose(envs: Environments) -> None:
    envs.without("team.tfvars", "input_buckets")
    (problem,) = problems(envs)
    assert "does not set input_buckets: Names of the existing buckets" in problem


def test_a_missing_key_that_the_other_environments_set_is_named(envs: Environments) -> None:
    envs.without("team.tfvars", "protect_data")
    (problem,) = problems(envs)
    assert "does not set protect_data, as dev.tfvars does" in problem


def test_an_unknown_key_is_named_with_the_one_that_was_meant(envs: Environments) -> None:
    with envs.path("team.tfvars").open("a") as settings:
        settings.write('log_levle = "DEBUG"\n')
    (problem,) = problems(envs)
    assert "sets log_levle" in problem
    assert "Did you mean log_level?" in problem


def test_the_images_tag_is_no_setting(envs: Environments) -> None:
    with envs.path("team.tfvars").open("a") as settings:
        settings.write('image_tag = "v1"\n')
    (problem,) = problems(envs)
    assert "IMAGE_TAG=" in problem


def test_a_prefix_that_makes_a_name_too_long_is_told_which_and_by_how_much(envs: Environments) -> None:
    long = "a" * 40
    envs.edit("team.tfvars", '"truthloop-dev"', f'"{long}"')
    (problem,) = problems(envs)
    assert f"{long!r} of 40 characters; allowed: at most 32" in problem
    assert f"event rule '{long}-labeling-job-state-change', would have 66; AWS allows 64" in problem


@pytest.mark.parametrize("prefix", ["Team", "team--x", "-team", "team-", "1team", "team_x", ""])
def test_a_prefix_that_cannot_begin_a_name_is_refused(envs: Environments, prefix: str) -> None:
    envs.edit("team.tfvars", '"truthloop-dev"', f'"{prefix}"')
    (problem,) = problems(envs)
    assert f"name_prefix {prefix!r}; allowed: lower-case letters" in problem


@pytest.mark.parametrize(
    "accounts", ['["12345678901"]', "[123456789012]", '["my-account"]', '"123456789012"', "[]"]
)
def test_an_account_that_is_not_12_digits_in_quotes_is_refused(envs: Environments, accounts: str) -> None:
    envs.edit("team.tfvars", f'["{ACCOUNT}"]', accounts)
    (problem,) = problems(envs)
    assert "account" in problem


def test_a_missing_backend_is_named_with_what_to_do(envs: Environments) -> None:
    envs.path("team.s3.tfbackend").unlink()
    (problem,) = problems(envs)
    assert "team.s3.tfbackend is missing" in problem
    assert "copy another environment's" in problem


@pytest.mark.parametrize("key", ["bucket", "key", "region", "use_lockfile", "encrypt"])
def test_a_backend_that_lacks_a_key_is_refused_by_its_name(envs: Environments, key: str) -> None:
    envs.without("team.s3.tfbackend", key)
    (problem,) = problems(envs)
    assert key in problem


def test_a_state_that_is_another_environments_is_refused(envs: Environments) -> None:
    for file in ("tfvars", "s3.tfbackend"):
        envs.path(f"copy.{file}").write_text(envs.path(f"team.{file}").read_text())
    (problem,) = problems(envs, "copy")
    assert "same bucket and key as team.s3.tfbackend" in problem
    assert '"copy/terraform.tfstate"' in problem


def test_a_file_that_is_no_terraform_is_named_with_its_line(envs: Environments) -> None:
    envs.edit("team.tfvars", f'["{ACCOUNT}"]', "[")
    (problem,) = problems(envs)
    assert re.search(r"envs/team\.tfvars, line \d+: this is not Terraform's language", problem)


@pytest.mark.parametrize("tag", ["latest", "a b", "-x", "ä", "x" * 129])
def test_an_image_tag_that_says_nothing_is_refused(envs: Environments, tag: str) -> None:
    (problem,) = problems(envs, image_tag=tag)
    assert f"IMAGE_TAG is {tag!r}" in problem


def test_all_problems_come_in_one_message(envs: Environments) -> None:
    envs.without("team.tfvars", "input_buckets")
    envs.edit("team.tfvars", '"truthloop-dev"', f'"{"a" * 50}"')
    envs.edit("team.tfvars", f'["{ACCOUNT}"]', '["1"]')
    envs.path("team.s3.tfbackend").unlink()
    with pytest.raises(UnusableEnvironment) as refused:
        environments.load("team", "latest", envs.folder)
    message = str(refused.value)
    assert message.startswith("ENV=team has 5 problems; nothing was created.\n1. ")
    assert len(message.splitlines()) == 6


def test_without_its_parser_the_message_says_how_to_get_it(
    envs: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hcl2", None)
    with pytest.raises(environments.UnreadableFile, match="make setup"):
        environments.load("team", folder=envs.folder)


# ---- what bootstrap makes ----------------------------------------------------------------------------------


def test_the_bucket_of_the_backend_is_the_one_that_bootstrap_makes(envs: Environments) -> None:
    assert environments.bootstrap_prefix(environments.load("team", folder=envs.folder)) == "acme"


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("team.s3.tfbackend", STATE_BUCKET, "company-terraform", "makes <prefix>-state-<account>"),
        ("team.s3.tfbackend", STATE_BUCKET, "acme-state-999999999999", "makes <prefix>-state-<account>"),
        ("team.s3.tfbackend", STATE_BUCKET, f"{'a' * 33}-state-{ACCOUNT}", "at most 32"),
        ("team.s3.tfbackend", '"us-east-1"', '"eu-west-1"', "must be the same"),
        ("team.tfvars", 'name = "acme"', 'name = "other"', "makes the repository 'acme'"),
    ],
)
def test_what_bootstrap_would_not_make_is_refused(
    envs: Environments, file: str, old: str, new: str, says: str
) -> None:
    envs.edit(file, old, new)
    with pytest.raises(UnusableEnvironment, match=re.escape(says)):
        environments.bootstrap_prefix(environments.load("team", folder=envs.folder))


# ---- the rules are Terraform's -----------------------------------------------------------------------------


def test_the_rules_of_names_and_tags_are_those_of_the_variables() -> None:
    assert environments.NAME_PREFIX_PATTERN in validation("name_prefix")
    assert f"<= {environments.NAME_PREFIX_LONGEST}" in validation("name_prefix")
    assert environments.IMAGE_TAG_PATTERN in validation("image_tag")
