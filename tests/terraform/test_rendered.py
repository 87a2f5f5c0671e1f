"""What AWS would get from each environment: facts of the rendered plan that nobody sees in the HCL."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from terraform.command import needs_provider, needs_terraform
from terraform.repository import Repository, parse_hcl, some
from truthloop_cli import rendered
from truthloop_cli.rendered import RenderingFailed, Report

ENVIRONMENTS = sorted(Path(path).stem for path in Repository.load().matching("terraform/envs/*.tfvars"))
# The account that tests/stack.tftest.hcl assumes, and the image tag that it gives.
ACCOUNT, TAG = "111122223333", "3f2a9c1"
LONGEST_PREFIX = "a" * 32

# The first test waits for all runs: a minute on two idle cores.
pytestmark = [pytest.mark.terraform, pytest.mark.timeout(900), needs_terraform, needs_provider]


class Plan:
    """A rendered plan, with the settings that it was made with."""

    def __init__(self, plan: dict[str, Any], settings: Mapping[str, Any]) -> None:
        self.changes = [change for change in plan["resource_changes"] if change["mode"] == "managed"]
        self.policies = rendered.policies(plan)
        self.settings = settings

    def of(self, type_: str) -> dict[str, dict[str, Any]]:
        """The attributes of the resources of a type, by address."""
        return {
            change["address"]: change["change"]["after"] for change in self.changes if change["type"] == type_
        }

    def one(self, type_: str) -> dict[str, Any]:
        (attributes,) = self.of(type_).values()
        return attributes

    def definition(self, machine: str) -> str:
        """The definition of the state machine that a module of the root makes."""
        return str(
            self.of("aws_sfn_state_machine")[f"module.{machine}.aws_sfn_state_machine.this"]["definition"]
        )

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The statements of the roles' policies, with the address of their document."""
        for address, document in self.policies.items():
            if ".aws_iam_role_policy." in address:
                for statement in document["Statement"]:
                    yield address, statement

    def function_arns(self) -> set[str]:
        names = [function["function_name"] for function in self.of("aws_lambda_function").values()]
        return {f"arn:aws:lambda:{self.settings['aws_region']}:{ACCOUNT}:function:{name}" for name in names}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# ---- the facts ---------------------------------------------------------------------------------------------

Fact = Callable[[Plan], None]
FACTS: list[Fact] = []


def fact(function: Fact) -> Fact:
    FACTS.append(function)
    return function


@fact
def every_policy_document_is_known(plan: Plan) -> None:
    unknown = [
        change["address"]
        for change in plan.changes
        if change["type"] not in {"aws_s3_bucket", "aws_vpc_endpoint"}
        and {"assume_role_policy", "policy"} & {k for k, v in change["change"]["after_unknown"].items() if v}
    ]
    assert unknown == [], "say in terraform/tests/stack.tftest.hcl what they refer to"
    assert len(plan.policies) >= 30


@fact
def no_role_has_a_star_for_an_action_or_for_what_could_be_named(plan: Plan) -> None:
    # The actions that know no resources, or none that are known before.
    nameless = re.compile(
        r"batch:DescribeJobs|cloudwatch:PutMetricData|ecr:GetAuthorizationToken|ecs:DiscoverPollEndpoint"
        r"|logs:(Create|Delete|Get|List|Update)LogDeliver(y|ies)|logs:Describe(LogGroups|ResourcePolicies)"
        r"|logs:PutResourcePolicy|xray:\w+"
    )
    statements = some(list(plan.statements()), "statements of roles")
    for address, statement in statements:
        assert statement["Effect"] == "Allow", address
        actions = listed(statement["Action"])
        assert not any("*" in action for action in actions), (address, actions)
        if "*" in listed(statement["Resource"]):
            assert [action for action in actions if not nameless.fullmatch(action)] == [], address


@fact
def only_one_role_is_passed_and_only_to_sagemaker(plan: Plan) -> None:
    passed = [
        (address, statement["Resource"], statement.get("Condition"))
        for address, statement in plan.statements()
        if "iam:PassRole" in listed(statement["Action"])
    ]
    role = f"arn:aws:iam::{ACCOUNT}:role/{plan.settings['name_prefix']}-labeling"
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert passed == [('module.function["create_labeling_job"].aws_iam_role_policy.this', role, condition)]
    assert plan.of("aws_iam_role")["module.labeling.aws_iam_role.this"]["name"] == role.rpartition("/")[2]


@fact
def every_role_trusts_one_service_of_the_account(plan: Plan) -> None:
    roles = some(plan.of("aws_iam_role"), "roles")
    for address in roles:
        for statement in plan.policies[address]["Statement"]:
            (service,) = statement["Principal"].values()
            assert isinstance(service, str), address
            # Lambda and EC2 take their roles without saying for whom.
            if service not in {"lambda.amazonaws.com", "ec2.amazonaws.com"}:
                assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT, address


@fact
def a_function_writes_to_its_own_log_group(plan: Plan) -> None:
    functions = some(plan.of("aws_lambda_function"), "functions")
    groups = {
        address.partition(".aws_")[0]: group
        for address, group in plan.of("aws_cloudwatch_log_group").items()
        if address.startswith("module.function")
    }
    for address, function in functions.items():
        module = address.partition(".aws_")[0]
        assert groups[module]["name"] == f"/aws/lambda/{function['function_name']}"
        written = [
            listed(statement["Resource"])
            for document, statement in plan.statements()
            if document.startswith(f"{module}.") and "logs:PutLogEvents" in listed(statement["Action"])
        ]
        assert written == [[f"{groups[module]['arn']}:*"]], address


# What else calls a function: SageMaker, and events.
CALLED_BY_OTHERS = {
    "post-annotation",
    "pre-annotation",
    "reconcile-labeling-jobs",
    "record-activity",
    "record-answers",
    "release-labeling-job",
}


@fact
def the_definitions_have_no_gap_and_name_what_the_stack_makes(plan: Plan) -> None:
    text = "".join(machine["definition"] for machine in plan.of("aws_sfn_state_machine").values())
    assert "${" not in text
    region, prefix = plan.settings["aws_region"], plan.settings["name_prefix"]
    others = {f"arn:aws:lambda:{region}:{ACCOUNT}:function:{prefix}-{name}" for name in CALLED_BY_OTHERS}
    assert others <= plan.function_arns()
    assert set(re.findall(r"arn:aws:lambda:[^\"]+", text)) == plan.function_arns() - others
    batch = {
        f"arn:aws:batch:{region}:{ACCOUNT}:job-definition/{plan.one('aws_batch_job_definition')['name']}",
        f"arn:aws:batch:{region}:{ACCOUNT}:job-queue/{plan.one('aws_batch_job_queue')['name']}",
    }
    assert set(re.findall(r"arn:aws:batch:[^\"]+", text)) == batch
    assert all(f"/{prefix}-" in arn for arn in batch)


@fact
def each_state_invokes_the_function_that_it_is_named_after(plan: Plan) -> None:
    prefix = plan.settings["name_prefix"]
    # "Preflight" invokes …-preflight, "MergeLabels" …-merge-labels.
    for machine, name, function in (
        ("active_learning_loop", "Preflight", "preflight"),
        ("active_learning_loop", "Prepare", "prepare"),
        ("active_learning_loop", "Decide", "decide"),
        ("active_learning_loop", "MergeLabels", "merge-labels"),
        ("active_learning_loop", "Audit", "start-audit"),
        ("active_learning_loop", "MergeAudit", "merge-audit"),
        ("label_audit", "Advance", "advance-audit"),
        ("label_audit", "CreateAuditJob", "create-labeling-job"),
        ("label_audit", "FinishAudit", "finish-audit"),
    ):
        text = json.dumps(json.loads(plan.definition(machine)))
        state = re.search(rf'"{name}": (\{{.*)', text)
        assert state, f"the definition of {machine} has no state {name}"
        (arn,) = re.findall(r"arn:aws:lambda:[^\"]+", json.dumps(json.JSONDecoder().raw_decode(state[1])[0]))
        assert arn.endswith(f":function:{prefix}-{function}")


@fact
def who_labels_does_not_audit(plan: Plan) -> None:
    teams = {
        team["workteam_name"]: team["member_definition"][0]["cognito_member_definition"][0]["user_group"]
        for team in plan.of("aws_sagemaker_workteam").values()
    }
    prefix, workforce = plan.settings["name_prefix"], plan.settings["workforce"]
    assert teams == {
        f"{prefix}-labelers": workforce["user_group"],
        f"{prefix}-auditors": workforce["auditor_user_group"],
    }
    assert len(set(teams.values())) == 2
    for function in ("preflight", "start_audit"):
        variables = plan.of("aws_lambda_function")[f'module.function["{function}"].aws_lambda_function.this']
        team = variables["environment"][0]["variables"]["AUDITORS_WORKTEAM_ARN"]
        assert team.endswith(f":workteam/private-crowd/{prefix}-auditors")


@fact
def activity_is_recorded_where_the_settings_say_so(plan: Plan) -> None:
    activity = plan.settings["worker_activity"]
    filters = list(plan.of("aws_cloudwatch_log_subscription_filter").values())
    groups = {group["name"] for group in plan.of("aws_cloudwatch_log_group").values()}
    name = "/aws/sagemaker/groundtruth/WorkerActivity"
    assert [each["log_group_name"] for each in filters] == ([] if activity is None else [name])
    assert (name in groups) == bool(activity and activity["create_log_group"])


@fact
def a_job_runs_the_image_of_the_tag_with_two_roles_and_its_size(plan: Plan) -> None:
    definition = plan.one("aws_batch_job_definition")
    properties = json.loads(definition["container_properties"])
    assert (
        properties["image"]
        == f"{ACCOUNT}.dkr.ecr.{plan.settings['aws_region']}.amazonaws.com/truthloop:{TAG}"
    )
    roles = plan.of("aws_iam_role")
    assert properties["jobRoleArn"] == roles["module.batch.aws_iam_role.job"]["arn"]
    assert properties["executionRoleArn"] == roles["module.batch.aws_iam_role.execution"]["arn"]
    assert properties["jobRoleArn"] != properties["executionRoleArn"]
    sizes = {item["type"]: item["value"] for item in properties["resourceRequirements"]}
    assert {"VCPU", "MEMORY"} <= sizes.keys()
    assert all(isinstance(value, str) for value in sizes.values()), "Batch takes sizes as texts"
    groups = {group["name"] for group in plan.of("aws_cloudwatch_log_group").values()}
    assert properties["logConfiguration"]["options"]["awslogs-group"] in groups
    compute = plan.settings.get("batch", {}).get("compute_type", "FARGATE")
    assert definition["platform_capabilities"] == ["FARGATE" if "FARGATE" in compute else "EC2"]


@fact
def events_reach_the_functions_that_wait_for_them(plan: Plan) -> None:
    rules = plan.of("aws_cloudwatch_event_rule")
    patterns = {
        address.split(".")[1]: json.loads(rule["event_pattern"])
        for address, rule in rules.items()
        if rule["event_pattern"]
    }
    job = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Ground Truth Labeling Job State Change"],
    }
    bucket, answers = plan.one("aws_s3_bucket")["bucket"], patterns.pop("answer_arrived")
    assert patterns == {
        "labeling_job_state_change": {
            **job,
            "detail": {"LabelingJobStatus": ["Completed", "Failed", "Stopped"]},
        },
        "labeling_job_to_audit": {**job, "detail": {"LabelingJobStatus": ["Completed", "Stopped"]}},
    }
    assert (answers["source"], answers["detail-type"]) == (["aws.s3"], ["Object Created"])
    assert answers["detail"]["bucket"] == {"name": [bucket]}
    assert plan.one("aws_s3_bucket_notification")["eventbridge"] is True
    schedules = [rule["schedule_expression"] for rule in rules.values() if rule["schedule_expression"]]
    assert schedules == ["rate(15 minutes)"]


@fact
def one_key_encrypts_everything_where_the_settings_ask_for_it(plan: Plan) -> None:
    keys = [key["arn"] for key in plan.of("aws_kms_key").values()]
    assert len(keys) == (1 if plan.settings["create_kms_key"] else 0)
    # Without a key of its own the stack leaves the keys to AWS.
    key = keys[0] if keys else None
    for type_, attribute in (
        ("aws_cloudwatch_log_group", "kms_key_id"),
        ("aws_lambda_function", "kms_key_arn"),
        ("aws_sns_topic", "kms_master_key_id"),
        ("aws_sqs_queue", "kms_master_key_id"),
    ):
        for address, attributes in some(plan.of(type_), type_).items():
            assert attributes[attribute] == key, address
    for address, table in some(plan.of("aws_dynamodb_table"), "tables").items():
        assert table["server_side_encryption"][0].get("kms_key_arn") == key, address
    rule = plan.one("aws_s3_bucket_server_side_encryption_configuration")["rule"][0]
    (bucket,) = rule["apply_server_side_encryption_by_default"]
    # The provider writes an empty text for no key.
    assert (bucket["kms_master_key_id"] or None) == key
    assert bucket["sse_algorithm"] == ("aws:kms" if key else "AES256")


@fact
def data_is_protected_where_the_settings_say_so(plan: Plan) -> None:
    protect = plan.settings.get("protect_data", True)
    assert plan.one("aws_s3_bucket")["force_destroy"] is not protect
    tables = some(plan.of("aws_dynamodb_table"), "tables").values()
    assert {table["deletion_protection_enabled"] for table in tables} == {protect}


@fact
def logs_are_kept_for_a_year(plan: Plan) -> None:
    groups = some(plan.of("aws_cloudwatch_log_group"), "log groups").values()
    assert {group["retention_in_days"] for group in groups} == {365}


# ---- proved by what would break them -----------------------------------------------------------------------

# A file, what is written in the place of what, the fact that it breaks, and what the fact then names.
MUTATIONS = (
    (
        "iam_policies.tf",
        "resources = [local.arns.labeling_role]",
        'resources = ["*"]',
        only_one_role_is_passed_and_only_to_sagemaker,
        "create_labeling_job",
    ),
    (
        "main.tf",
        "decide_function_arn              = local.function_arns.decide",
        "decide_function_arn              = local.function_arns.prepare",
        each_state_invokes_the_function_that_it_is_named_after,
        "-prepare",
    ),
    (
        "state_machines/active_learning_loop.asl.json",
        "${job_queue_arn}",
        "$${job_queue_arn}",
        the_definitions_have_no_gap_and_name_what_the_stack_makes,
        "job_queue_arn",
    ),
    (
        "main.tf",
        "${local.image_repository_url}:${var.image_tag}",
        "${local.image_repository_url}:stable",
        a_job_runs_the_image_of_the_tag_with_two_roles_and_its_size,
        ":stable",
    ),
    (
        "modules/labeling/main.tf",
        "user_group = local.auditor_user_group",
        "user_group = local.user_group",
        who_labels_does_not_audit,
        "labelers",
    ),
    (
        "modules/dead_letter_queue/main.tf",
        "kms_master_key_id                 = var.kms_key_arn",
        "kms_master_key_id                 = null",
        one_key_encrypts_everything_where_the_settings_ask_for_it,
        "dead_letter_queue",
    ),
)

# ---- what Terraform says -----------------------------------------------------------------------------------

FILES = ("batch", "existing", "inputs")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} does not hold {old!r}"
    path.write_text(text.replace(old, new))


def settings(environment: str) -> Mapping[str, Any]:
    return parse_hcl(Repository.load().text(f"terraform/envs/{environment}.tfvars"))


def plan_of(report: Report, environment: str, **changes: str) -> Plan:
    assert report.plan, report.errors
    return Plan(report.plan, {**settings(environment), **changes})


@pytest.fixture(scope="module")
def reports() -> Iterator[Mapping[str, Report]]:
    """One run of each environment, each test file, the longest prefix, and a copy with all mutations."""
    with rendered.prepared() as copy, rendered.prepared() as edited:
        for name, old, new, _, _ in MUTATIONS:
            replace(edited / name, old, new)
        prefix = f'"{settings("dev")["name_prefix"]}"'
        replace(edited / "envs" / "dev.tfvars", prefix, f'"{LONGEST_PREFIX}"')
        (copy / "envs" / "longest.tfvars").write_text((edited / "envs" / "dev.tfvars").read_text())
        runs = {
            **{environment: (copy, environment, rendered.STACK) for environment in ENVIRONMENTS},
            **{file: (copy, "dev", f"tests/{file}.tftest.hcl") for file in FILES},
            "longest": (copy, "longest", rendered.STACK),
            "mutated": (edited, "prod", rendered.STACK),
        }
        with ThreadPoolExecutor(2) as pool:
            found = pool.map(lambda run: rendered.run_tests(*run), runs.values())
            yield dict(zip(runs, found, strict=True))


def test_there_are_environments_facts_and_test_files() -> None:
    assert {"dev", "local", "prod", "staging"} <= set(ENVIRONMENTS)
    assert len(FACTS) >= 10
    names = {Path(path).name for path in Repository.load().matching("terraform/tests/*.tftest.hcl")}
    assert names == {f"{name}.tftest.hcl" for name in ("stack", *FILES)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_planned_offline_and_keeps_what_terraform_asserts(
    environment: str, reports: Mapping[str, Report]
) -> None:
    report = reports[environment]
    assert report.errors == ()
    assert report.passed == ("what_aws_gives", "stack")
    assert [warning for warning in report.warnings if "override" in warning] == []


@pytest.mark.parametrize("check", FACTS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_fact(environment: str, check: Fact, reports: Mapping[str, Report]) -> None:
    check(plan_of(reports[environment], environment))


@pytest.mark.parametrize("file", FILES)
def test_terraform_keeps_what_is_asserted_of(file: str, reports: Mapping[str, Report]) -> None:
    assert reports[file].errors == ()
    assert reports[file].passed


@pytest.mark.parametrize(
    ("check", "said"),
    [(check, said) for *_, check, said in MUTATIONS],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_fact_fails_where_it_is_broken(check: Fact, said: str, reports: Mapping[str, Report]) -> None:
    with pytest.raises(AssertionError, match=re.escape(said)):
        check(plan_of(reports["mutated"], "prod"))


def test_terraform_itself_refuses_a_function_that_may_pass_any_role(reports: Mapping[str, Report]) -> None:
    (error,) = reports["mutated"].errors
    assert "must be able to pass the labelling role alone" in error


def test_the_longest_prefix_makes_no_name_that_aws_refuses(reports: Mapping[str, Report]) -> None:
    assert reports["longest"].errors == ()
    plan = plan_of(reports["longest"], "dev", name_prefix=LONGEST_PREFIX)
    for type_, (attribute, limit) in {
        "aws_cloudwatch_event_rule": ("name", 64),
        "aws_iam_role": ("name", 64),
        "aws_lambda_function": ("function_name", 64),
        "aws_s3_bucket": ("bucket", 63),
        "aws_sagemaker_workteam": ("workteam_name", 63),
        "aws_sfn_state_machine": ("name", 80),
        "aws_sqs_queue": ("name", 80),
    }.items():
        for address, attributes in some(plan.of(type_), type_).items():
            assert LONGEST_PREFIX in attributes[attribute], address
            assert len(attributes[attribute]) <= limit, address


def test_an_unknown_environment_is_refused_with_the_names_of_the_known_ones() -> None:
    with pytest.raises(RenderingFailed, match=r"no environment 'moon'.*dev, local, prod, staging"):
        rendered.plan("moon")
