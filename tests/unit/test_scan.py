"""`make scan` finds what it says that it finds, and nothing passes unscanned."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanners import checkov, code, dependencies, policies, tools
from scanners.outcome import Accepted, Finding, NotScanned, Outcome

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("scan", ROOT / "scripts" / "scan.py")
assert spec
assert spec.loader
scan = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scan)


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    tools.programs.cache_clear()
    tools.plan.cache_clear()
    yield
    tools.programs.cache_clear()
    tools.plan.cache_clear()


def printed(stdout: str = "", stderr: str = "", returncode: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], returncode, stdout, stderr)


# ---- checkov ---------------------------------------------------------------------------------------------

BUCKET = {
    "check_id": "CKV_AWS_18",
    "check_name": "Ensure the bucket has access logging",
    "check_class": "checkov.terraform.checks.resource.aws.Logging",
    "resource": "module.storage.aws_s3_bucket.this",
    "file_abs_path": "/copy/terraform/modules/storage/main.tf",
    "file_line_range": [3, 9],
}


def report(
    *failed: dict[str, Any], passed: tuple[dict[str, Any], ...] = (), **results: Any
) -> dict[str, Any]:
    return {"results": {"passed_checks": list(passed), "failed_checks": list(failed), **results}}


def skip(check: str = "CKV_AWS_18", line: int = 4, reason: str = "the logs are elsewhere") -> checkov.Skip:
    return checkov.Skip(check, "terraform/modules/storage/main.tf", line, reason)


def judged(
    *failed: dict[str, Any],
    skips: tuple[checkov.Skip, ...] = (),
    planned: tuple[dict[str, Any], ...] = (),
    passed: tuple[dict[str, Any], ...] = (),
) -> Outcome:
    return checkov.judge(Path("/copy"), [report(*failed, passed=passed)], report(*planned), list(skips))


def test_a_failed_check_is_found_with_its_file_line_and_remedy() -> None:
    outcome = judged(BUCKET)
    assert outcome.findings == [
        Finding(
            "CKV_AWS_18",
            "terraform/modules/storage/main.tf:3",
            "aws_s3_bucket.this: Ensure the bucket has access logging",
            "meet it, or write why not inside the block: # checkov:skip=CKV_AWS_18:the reason",
        )
    ]
    assert (outcome.status, outcome.checked) == ("FAILED", "0 checks passed, 1 failed, 0 skipped")


def test_the_instances_of_a_module_fail_once() -> None:
    others = [
        {**BUCKET, "resource": resource}
        for resource in ("aws_s3_bucket.this", 'module.a["b"].aws_s3_bucket.this')
    ]
    assert len(judged(BUCKET, *others).findings) == 1


def test_a_skip_accepts_the_failure_of_its_block_and_says_why() -> None:
    outcome = judged(BUCKET, skips=(skip(),))
    assert outcome.status == "passed"
    assert outcome.accepted == [
        Accepted("CKV_AWS_18", "terraform/modules/storage/main.tf:4", "the logs are elsewhere")
    ]
    assert outcome.checked == "0 checks passed, 0 failed, 1 skipped"


@pytest.mark.parametrize(
    "other",
    [
        skip(check="CKV_AWS_19"),
        skip(line=2),
        skip(line=10),
        checkov.Skip("CKV_AWS_18", "terraform/main.tf", 4, "why"),
    ],
    ids=["another check", "above the block", "below the block", "another file"],
)
def test_a_skip_of_something_else_accepts_nothing_and_is_found_itself(other: checkov.Skip) -> None:
    problems = [finding.problem for finding in judged(BUCKET, skips=(other,)).findings]
    assert len(problems) == 2
    assert "access logging" in problems[0]
    assert "accepts nothing" in problems[1]


def test_a_skip_of_a_check_that_passes_anyway_is_found() -> None:
    assert "accepts nothing" in judged(passed=(BUCKET,), skips=(skip(),)).findings[0].problem


def test_a_skip_without_a_reason_is_found() -> None:
    assert [finding.problem for finding in judged(BUCKET, skips=(skip(reason=""),)).findings] == [
        "the skip has no reason"
    ]


@pytest.mark.parametrize(("number", "status"), [(15, "passed"), (16, "FAILED")])
def test_fifteen_skips_are_allowed_and_not_one_more(number: int, status: str) -> None:
    checks = [f"CKV_AWS_{index}" for index in range(number)]
    failed = [{**BUCKET, "check_id": check} for check in checks]
    outcome = judged(*failed, skips=tuple(skip(check) for check in checks))
    assert outcome.status == status
    assert [finding.rule for finding in outcome.findings] == ["SKIPS"] * (number - 15)


def test_what_only_the_plan_shows_is_found_where_it_is_written() -> None:
    planned = {
        **BUCKET,
        "resource": 'module.storage["a"].aws_s3_bucket.this',
        "file_abs_path": "/copy/plan.json",
    }
    for written in ("module.storage.aws_s3_bucket.this", "module.example.module.storage.aws_s3_bucket.this"):
        passed = {**BUCKET, "resource": written}
        outcome = judged(passed=(passed,), planned=(planned,))
        assert [finding.place for finding in outcome.findings] == ["terraform/modules/storage/main.tf:3"]
        assert judged(passed=(passed,), planned=(planned,), skips=(skip(),)).status == "passed"


def test_checks_of_relations_do_not_count_in_a_plan_that_knows_no_relations() -> None:
    planned = {**BUCKET, "check_class": "checkov.common.graph.checks_infra.base_check"}
    assert judged(planned=(planned,)).status == "passed"
    assert judged(planned).status == "FAILED"


def test_a_file_that_checkov_cannot_read_is_found() -> None:
    broken = report(parsing_errors=["/copy/terraform/broken.tf"])
    outcome = checkov.judge(Path("/copy"), [broken], report(), [])
    assert [(finding.rule, finding.place) for finding in outcome.findings] == [
        ("PARSING", "terraform/broken.tf")
    ]


def test_skips_are_read_with_their_line_and_reason(tmp_path: Path) -> None:
    folder = tmp_path / "terraform"
    folder.mkdir()
    (folder / "main.tf").write_text(
        'resource "a" "b" {\n'
        "  # checkov:skip=CKV_AWS_1: one region: on purpose\n"
        "  #checkov:skip=CKV_AWS_2,CKV2_AWS_3:both\n"
        "  # checkov:skip=CKV_AWS_4\n"
        "}\n"
    )
    assert [(found.check, found.file, found.line, found.reason) for found in checkov.skips_in(folder)] == [
        ("CKV_AWS_1", "terraform/main.tf", 2, "one region: on purpose"),
        ("CKV_AWS_2", "terraform/main.tf", 3, "both"),
        ("CKV2_AWS_3", "terraform/main.tf", 3, "both"),
        ("CKV_AWS_4", "terraform/main.tf", 4, ""),
    ]


def change(address: str, after: Any, **also: Any) -> dict[str, Any]:
    kind, name = address.split(".")[-2:]
    return {
        "address": address,
        "mode": also.pop("mode", "managed"),
        "type": kind,
        "name": name,
        "change": {"after": after, **also},
    }


def test_checkov_gets_the_resources_that_a_plan_makes() -> None:
    made = change("aws_s3_bucket.this", {"bucket": "data"})
    asked = change("data.aws_region.here", {}, mode="data")
    changes = [made, asked, change("aws_s3_bucket.gone", None)]
    plan = checkov.readable({"resource_changes": changes})
    assert plan["planned_values"]["root_module"]["resources"] == [
        {
            "address": "aws_s3_bucket.this",
            "mode": "managed",
            "type": "aws_s3_bucket",
            "name": "this",
            "values": {"bucket": "data"},
        }
    ]
    assert plan["resource_changes"] == changes


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "terraform" / "modules").mkdir(parents=True)
    (tmp_path / ".checkov.yaml").write_text("compact: true\n")
    monkeypatch.setattr(tools, "ROOT", tmp_path)
    monkeypatch.setattr(checkov, "TERRAFORM", tmp_path / "terraform")
    return tmp_path


def test_checkov_sees_roots_modules_and_plan_with_no_skip_in_force(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = repository / "terraform" / "main.tf"
    source.write_text('resource "aws_s3_bucket" "this" {\n  # checkov:skip=CKV_AWS_18:elsewhere\n}\n')
    seen = []

    def report_of(*what: str | Path) -> dict[str, Any]:
        seen.append((what[0], Path(what[1]).name, *what[2:]))
        if Path(what[1]).name != "terraform":
            return report()
        copied = Path(what[1]) / "main.tf"
        assert "checkov:skip=" not in copied.read_text()
        return report({**BUCKET, "file_abs_path": str(copied), "file_line_range": [1, 3]})

    monkeypatch.setattr(checkov, "report_of", report_of)
    monkeypatch.setattr(tools, "plan", lambda: {"resource_changes": []})
    outcome = checkov.scan()
    assert (outcome.status, len(outcome.accepted)) == ("passed", 1)
    assert seen == [
        ("--directory", "terraform"),
        ("--directory", "modules"),
        ("--file", "plan.json", "--framework", "terraform_plan"),
    ]
    assert "checkov:skip=" in source.read_text()


def test_a_check_may_not_be_skipped_everywhere(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkov, "report_of", lambda *what: report())
    monkeypatch.setattr(tools, "plan", lambda: {"resource_changes": []})
    assert checkov.scan().status == "passed"
    (repository / ".checkov.yaml").write_text("compact: true\nskip-check:\n  - CKV_AWS_18\n")
    assert [finding.place for finding in checkov.scan().findings] == [".checkov.yaml"]


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        (
            printed(json.dumps({"passed": 0, "failed": 0, "resource_count": 0})),
            "found no resources in /nowhere",
        ),
        (printed(stderr="Traceback\nKeyError: 'x'", returncode=1), r"exit code 1 .*KeyError: 'x'"),
        (printed(), "it printed nothing"),
    ],
)
def test_a_checkov_that_saw_nothing_has_not_scanned(
    monkeypatch: pytest.MonkeyPatch, result: subprocess.CompletedProcess[str], complaint: str
) -> None:
    monkeypatch.setattr(tools, "programs", lambda: Path("/bin"))
    monkeypatch.setattr(tools, "run", lambda command: result)
    with pytest.raises(NotScanned, match=complaint):
        checkov.report_of("--directory", "/nowhere")


# ---- policies --------------------------------------------------------------------------------------------

STAR = {
    "policy": 'module.function["decide"].aws_iam_role_policy.this',
    "finding": "RESOURCE_STAR",
    "action": "s3:GetObject",
    "problem": "Unnecessary use of Resource *",
    "detail": "can be given resources",
}
SUPPRESSION = {key: STAR[key] for key in ("finding", "action", "policy")} | {
    "reason": "there is no other way"
}


def test_a_finding_of_the_linter_names_the_policy_the_action_and_the_remedy() -> None:
    assert policies.judge([STAR], []).findings == [
        Finding(
            "RESOURCE_STAR",
            'module.function["decide"].aws_iam_role_policy.this',
            "Unnecessary use of Resource *: s3:GetObject (can be given resources)",
            "narrow it, or accept it in scripts/scanners/accepted_policies.toml with the reason",
        )
    ]


@pytest.mark.parametrize(
    "wider",
    [
        {},
        {"action": "S3:getobject"},
        {"action": "s3:Get*"},
        {"policy": "module.function[*].aws_iam_role_policy.this"},
    ],
)
def test_a_suppression_accepts_what_it_names(wider: dict[str, str]) -> None:
    outcome = policies.judge([STAR], [{**SUPPRESSION, **wider}])
    assert outcome.status == "passed"
    assert [accepted.reason for accepted in outcome.accepted] == ["there is no other way"]


@pytest.mark.parametrize(
    "other",
    [{"finding": "UNKNOWN_ACTION"}, {"action": "s3:PutObject"}, {"policy": "module.batch.*"}, {"action": ""}],
)
def test_a_suppression_of_something_else_accepts_nothing_and_is_found_itself(other: dict[str, str]) -> None:
    rules = [finding.problem for finding in policies.judge([STAR], [{**SUPPRESSION, **other}]).findings]
    assert len(rules) == 2
    assert rules[1] == "the suppression suppresses nothing"


@pytest.mark.parametrize("reason", ["", "  ", None])
def test_a_suppression_without_a_reason_is_found(reason: str | None) -> None:
    entry = {key: value for key, value in {**SUPPRESSION, "reason": reason}.items() if value is not None}
    assert [finding.problem for finding in policies.judge([STAR], [entry]).findings] == [
        "the suppression has no reason"
    ]


def test_the_projects_suppressions_are_complete() -> None:
    suppressions = tomllib.loads(policies.ACCEPTED.read_text())["suppression"]
    assert suppressions
    assert all(entry.keys() == {"finding", "action", "policy", "reason"} for entry in suppressions)
    assert all(len(entry["reason"]) > 20 for entry in suppressions)


def test_a_policy_that_the_plan_does_not_know_is_found() -> None:
    changes = [
        change("aws_iam_role_policy.a", {}, after_unknown={"policy": True}),
        change("aws_iam_role.b", {}, after_unknown={"assume_role_policy": True, "arn": True}),
        change("aws_s3_bucket_policy.c", {}, after_unknown={"policy": True}),
        change("aws_kms_key.d", {}, after_unknown={"policy": True}),
        change("aws_iam_role_policy.known", {"policy": "{}"}, after_unknown={"id": True}),
        change("aws_iam_role.gone", None),
        # A queue's policy is unknown, too, where it has none.
        change("aws_sqs_queue.e", {}, after_unknown={"policy": True}),
    ]
    found = policies.unknown({"resource_changes": changes})
    assert [finding.place for finding in found] == [
        "aws_iam_role_policy.a",
        "aws_iam_role.b",
        "aws_s3_bucket_policy.c",
        "aws_kms_key.d",
    ]


def test_the_policies_of_the_plan_go_through_the_linter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = {"Version": "2012-10-17", "Statement": []}
    changes = [
        change("aws_iam_role_policy.a", {"policy": json.dumps(document)}),
        change("aws_iam_role_policy.b", {}, after_unknown={"policy": True}),
    ]
    given = []

    def run(command: list[str | Path], stdin: str) -> subprocess.CompletedProcess[str]:
        given.append(json.loads(stdin))
        return printed(json.dumps([STAR]))

    monkeypatch.setattr(tools, "plan", lambda: {"resource_changes": changes})
    monkeypatch.setattr(tools, "programs", lambda: tmp_path)
    monkeypatch.setattr(tools, "run", run)
    monkeypatch.setattr(policies, "ACCEPTED", tmp_path / "accepted.toml")
    policies.ACCEPTED.write_text("suppression = []\n")
    outcome = policies.scan()
    assert given == [{"aws_iam_role_policy.a": document}]
    assert [finding.rule for finding in outcome.findings] == ["RESOURCE_STAR", "UNKNOWN_POLICY"]
    assert outcome.checked == "1 policies, 2 findings, 0 suppressions"


def test_a_plan_without_policies_is_not_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "plan", lambda: {"resource_changes": []})
    with pytest.raises(NotScanned, match="no policies"):
        policies.scan()


def test_a_stack_that_cannot_be_planned_is_not_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(environment: str) -> dict[str, Any]:
        raise tools.rendered.RenderingFailed("no provider")

    monkeypatch.setattr(tools.rendered, "plan", plan)
    with pytest.raises(NotScanned, match="prod could not be planned: no provider"):
        tools.plan()


@pytest.fixture
def linter(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The linter's program, with a parliament that finds what a test puts into `linter.found`."""
    parliament = types.ModuleType("parliament")
    finding = types.ModuleType("parliament.finding")
    finding.Finding = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "parliament", parliament)
    monkeypatch.setitem(sys.modules, "parliament.finding", finding)
    spec = importlib.util.spec_from_file_location("lint_policies", policies.LINTER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.found, module.given = [], []  # type: ignore[attr-defined]

    def analyze(text: str, include_community_auditors: bool) -> types.SimpleNamespace:
        module.given.append((json.loads(text), include_community_auditors))
        return types.SimpleNamespace(findings=module.found)

    parliament.analyze_policy_string = analyze  # type: ignore[attr-defined]
    parliament.enhance_finding = lambda found: types.SimpleNamespace(title=f"{found.issue}. ")  # type: ignore[attr-defined]
    return module


def test_a_trust_policy_is_linted_as_one_about_its_own_role(linter: types.ModuleType) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
    linter.lint("module.batch.aws_iam_role.job", trust)
    linter.lint("aws_iam_role_policy.job", trust)
    (role, role_is_audited), (policy, policy_is_audited) = linter.given
    assert re.fullmatch("arn:aws:iam::[0-9]{12}:role/.+", role["Statement"][0]["Resource"])
    assert (policy, role_is_audited, policy_is_audited) == (trust, False, True)


def found(issue: str, detail: Any = None, **location: Any) -> types.SimpleNamespace:
    return types.SimpleNamespace(issue=issue, detail=detail, location=location)


@pytest.mark.parametrize(
    ("finding", "action", "detail"),
    [
        (found("RESOURCE_MISMATCH", [{"action": "s3:A", "required_format": "*"}]), "s3:A", "needs *"),
        (found("RESOURCE_STAR", ["s3:A"]), "s3:A", "can be given resources"),
        (
            found("PRIVILEGE_ESCALATION", actions=["iam:a", "iam:b"], type="PassMore"),
            "iam:a + iam:b",
            "PassMore",
        ),
        (found("CREDENTIALS_EXPOSURE", actions=["ecr:get"]), "ecr:get", ""),
        (
            found("UNKNOWN_ACTION", "Unknown action s3:GetObjekt"),
            "s3:GetObjekt",
            "Unknown action s3:GetObjekt",
        ),
        (found("INVALID_ARN", string="nonsense"), "", "nonsense"),
    ],
    ids=lambda value: getattr(value, "issue", None),
)
def test_every_kind_of_finding_is_told_by_its_action(
    linter: types.ModuleType, finding: types.SimpleNamespace, action: str, detail: str
) -> None:
    linter.found.append(finding)
    told = linter.lint("aws_iam_role_policy.this", {"Statement": []})
    assert [(entry["finding"], entry["action"], entry["detail"], entry["problem"]) for entry in told] == [
        (finding.issue, action, detail, finding.issue)
    ]


def test_a_star_is_no_finding_where_it_means_the_resource_itself(linter: types.ModuleType) -> None:
    linter.found.append(found("RESOURCE_STAR", ["kms:Decrypt"]))
    document = {"Statement": []}
    assert not linter.lint("module.kms_key[0].aws_kms_key.this", document)
    assert not linter.lint('module.network[0].aws_vpc_endpoint.gateway["s3"]', document)
    assert linter.lint("aws_iam_role_policy.this", document)


# ---- dependencies ----------------------------------------------------------------------------------------

SOUND = {"name": "six", "version": "1.17.0", "vulns": []}
UNKNOWN = {
    "name": "six",
    "skip_reason": "Dependency not found on PyPI and could not be audited: six (1.17.0)",
}
HURT = {
    "name": "jinja2",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1", "3.0"], "aliases": [], "description": "A way  out."}],
}


def audited(*packages: dict[str, Any], expected: int | None = None, returncode: int = 0) -> Outcome:
    outcome = Outcome()
    result = printed(json.dumps({"dependencies": list(packages), "fixes": []}), returncode=returncode)
    dependencies.read(outcome, "lambdas/requirements.txt", expected or len(packages), result)
    return outcome


def test_packages_without_known_vulnerabilities_pass() -> None:
    assert audited(SOUND).status == "passed"


def test_a_vulnerability_is_found_with_the_version_that_mends_it() -> None:
    assert audited(SOUND, HURT, returncode=1).findings == [
        Finding("PYSEC-1", "lambdas/requirements.txt: jinja2==2.0", "A way out.", "take jinja2 2.1 or 3.0")
    ]
    unmended = {**HURT, "vulns": [{**HURT["vulns"][0], "fix_versions": []}]}
    assert audited(unmended).findings[0].advice == "no version mends it: replace the package"


def test_packages_that_pip_audit_could_not_look_up_have_not_passed() -> None:
    outcome = audited(UNKNOWN, SOUND)
    assert outcome.status == "NOT CHECKED"
    assert outcome.unchecked == [
        f"lambdas/requirements.txt: 1 of 2 packages, the first: {UNKNOWN['skip_reason']}"
    ]
    assert audited(UNKNOWN, HURT).status == "FAILED"


def test_packages_that_pip_audit_left_out_have_not_passed() -> None:
    assert audited(SOUND, expected=3).unchecked == [
        "lambdas/requirements.txt: pip-audit looked at 1 of 3 packages"
    ]
    assert audited(expected=3).status == "NOT CHECKED"


@pytest.mark.parametrize(
    "complaint",
    [
        "requests.exceptions.ConnectionError: Failed to resolve 'pypi.org'",
        "ERROR: Could not connect to PyPI's vulnerability feed",
        "requests.exceptions.ReadTimeout: pypi.org",
    ],
)
def test_a_service_that_cannot_be_reached_leaves_packages_unchecked(complaint: str) -> None:
    outcome = Outcome()
    dependencies.read(outcome, "a set", 3, printed(stderr=complaint, returncode=1))
    assert outcome.status == "NOT CHECKED"
    assert complaint in outcome.unchecked[0]


def test_a_requirements_file_that_pip_audit_refuses_is_no_unreachable_service() -> None:
    with pytest.raises(NotScanned, match="not pinned"):
        dependencies.read(Outcome(), "a set", 3, printed(stderr="ERROR: six is not pinned", returncode=1))


def test_what_is_installed_here_and_both_requirements_files_are_audited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = {}

    def run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
        path = Path(command[command.index("--requirement") + 1])
        asked[path.name if "installed" in path.name else path.relative_to(ROOT).as_posix()] = path.read_text()
        pinned = re.findall(r"^([\w.-]+)==(.+)$", asked[next(reversed(asked))], re.MULTILINE)
        return printed(
            json.dumps({"dependencies": [{"name": n, "version": v, "vulns": []} for n, v in pinned]})
        )

    monkeypatch.setattr(tools, "programs", lambda: Path("/bin"))
    monkeypatch.setattr(tools, "run", run)
    outcome = dependencies.scan()
    assert asked.keys() == {"installed.txt", "lambdas/requirements.txt", "batch_image/requirements.txt"}
    assert f"\npytest=={pytest.__version__}\n" in asked["installed.txt"]
    assert "truthloop" not in asked["installed.txt"]
    number = sum(text.count("==") for text in asked.values())
    assert number > 30
    assert (outcome.status, outcome.checked) == (
        "passed",
        f"{number} of {number} packages, 0 vulnerabilities",
    )


def test_packages_that_were_not_looked_up_are_not_counted_as_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "programs", lambda: Path("/bin"))
    monkeypatch.setattr(tools, "run", lambda command: printed(json.dumps({"dependencies": [UNKNOWN, SOUND]})))
    assert dependencies.scan().checked.startswith("3 of ")
    monkeypatch.setattr(tools, "run", lambda command: printed(stderr="ProxyError", returncode=1))
    assert dependencies.scan().checked.startswith("0 of ")


# ---- code ------------------------------------------------------------------------------------------------


def scanned(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, configured: str = "") -> Outcome:
    monkeypatch.setattr(tools, "ROOT", folder)
    monkeypatch.setattr(code, "FOLDERS", ("lambdas",))
    (folder / "lambdas").mkdir()
    (folder / "lambdas" / "handler.py").write_text(text)
    (folder / "pyproject.toml").write_text(configured)
    return code.scan()


def test_a_weakness_in_the_code_is_found_whatever_rules_are_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = scanned(tmp_path, monkeypatch, "\neval('1')\n", '[tool.ruff.lint]\nselect = ["E"]\n')
    assert [(finding.rule, finding.place) for finding in outcome.findings] == [
        ("S307", "lambdas/handler.py:2")
    ]
    assert outcome.checked == "1 files, 1 findings, 0 exempt"


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')  # noqa: S307 - a constant\n",
        "eval('1')  # noqa: S307 (a constant)\n",
        "# a constant\neval('1')  # noqa: S307\n",
        "# a constant\neval('1')  # noqa: E501, S307\n",
    ],
)
def test_an_exemption_is_listed_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    outcome = scanned(tmp_path, monkeypatch, text)
    assert (outcome.status, outcome.checked) == ("passed", "1 files, 0 findings, 1 exempt")
    row = text.count("\n")
    assert outcome.accepted == [Accepted("S307", f"lambdas/handler.py:{row}", "a constant")]


def test_an_exemption_without_a_reason_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = scanned(tmp_path, monkeypatch, "x = 1\neval('1')  # noqa: S307\n")
    assert [(finding.place, finding.problem) for finding in outcome.findings] == [
        ("lambdas/handler.py:2", "the exemption has no reason")
    ]


def test_the_exemptions_of_a_folder_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = '[tool.ruff.lint.per-file-ignores]\n"lambdas/**" = ["S307"]\n'
    outcome = scanned(tmp_path, monkeypatch, "eval('1')\neval('2')\n", configured)
    assert outcome.status == "passed"
    assert outcome.accepted == [
        Accepted("S307", "lambdas/** (2 places)", "per-file-ignores in pyproject.toml")
    ]


def test_no_code_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "ROOT", tmp_path)
    (tmp_path / "lambdas").mkdir()
    monkeypatch.setattr(code, "FOLDERS", ("lambdas",))
    with pytest.raises(NotScanned, match="no files"):
        code.scan()


# ---- the programs ----------------------------------------------------------------------------------------


def test_the_programs_are_installed_once_in_their_pinned_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []

    def run(command: list[str | Path]) -> subprocess.CompletedProcess[str]:
        commands.append([str(part) for part in command])
        tools.VENV.mkdir(exist_ok=True)
        return printed()

    monkeypatch.setattr(tools, "VENV", tmp_path / "venv")
    monkeypatch.setattr(tools, "run", run)
    assert tools.programs() == tmp_path / "venv" / "bin"
    assert [command[1:3] for command in commands] == [["-m", "venv"], ["-m", "pip"]]
    assert commands[1][-len(tools.PROGRAMS) :] == list(tools.PROGRAMS)
    assert all("==" in program for program in tools.PROGRAMS)

    tools.programs.cache_clear()
    tools.programs()
    assert len(commands) == 2

    tools.programs.cache_clear()
    monkeypatch.setattr(tools, "PROGRAMS", ("checkov==99",))
    tools.programs()
    assert commands[3][-1] == "checkov==99"


def test_where_pip_cannot_install_the_scan_fails_with_its_complaint_and_the_code_is_scanned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str | Path], stdin: str = "") -> subprocess.CompletedProcess[str]:
        refused = "pip" in command
        tools.VENV.mkdir(exist_ok=True)
        return (
            printed(stderr="ERROR: No matching distribution for checkov", returncode=1)
            if refused
            else printed()
        )

    monkeypatch.setattr(tools, "VENV", tmp_path / "venv")
    monkeypatch.setattr(tools, "run", run)
    monkeypatch.setattr(tools, "plan", lambda: {"resource_changes": []})
    monkeypatch.setitem(scan.SCANNERS, "policies", dependencies.scan)
    monkeypatch.setitem(scan.SCANNERS, "code", lambda: Outcome("12 files"))
    assert scan.main([]) == 1
    shown = capsys.readouterr().out
    assert shown.count("-> mend this, and scan again") == 3
    assert "No matching distribution for checkov. pip takes them from its index: check the network" in shown
    assert re.search(r"^code +passed", shown, re.MULTILINE)


# ---- the whole -------------------------------------------------------------------------------------------

WEAK = Outcome("1 thing", findings=[Finding("RULE", "main.tf:3", "it is weak", "mend it")])
UNSEEN = Outcome("0 things", unchecked=["the service is away"])


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Outcome]:
    """What the scanners say; a test changes it."""
    said = {name: Outcome("everything") for name in scan.SCANNERS}
    for name in said:
        monkeypatch.setitem(scan.SCANNERS, name, lambda name=name: said[name])
    monkeypatch.delenv("SCAN_REQUIRE_ALL", raising=False)
    return said


def test_a_scan_without_findings_succeeds_and_shows_every_scanner(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    assert scan.main([]) == 0
    shown = capsys.readouterr().out
    assert len(outcomes) == 4
    for name in outcomes:
        assert re.search(rf"^scan: {name} … passed \([\d.]+ s\)$", shown, re.MULTILINE)
        assert re.search(rf"^{name} +passed +[\d.]+  everything$", shown, re.MULTILINE)


def test_one_finding_fails_the_scan_and_is_shown_with_place_and_remedy(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes["policies"] = WEAK
    assert scan.main([]) == 1
    shown = capsys.readouterr().out
    assert "  RULE  main.tf:3\n      it is weak\n      -> mend it" in shown
    assert re.search(r"^policies +FAILED", shown, re.MULTILINE)


def test_what_was_accepted_is_shown_with_its_reason(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes["code"] = Outcome("1 file", accepted=[Accepted("S307", "handler.py:1", "a constant")])
    assert scan.main([]) == 0
    assert "code: accepted\n  S307  handler.py:1\n      a constant" in capsys.readouterr().out


def test_what_was_not_checked_is_said_loudly_and_fails_only_where_everything_is_required(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes["dependencies"] = UNSEEN
    assert scan.main([]) == 0
    shown = capsys.readouterr().out
    assert shown.rstrip().endswith("NOT CHECKED: dependencies: the service is away")
    assert re.search(r"^dependencies +NOT CHECKED", shown, re.MULTILINE)
    monkeypatch.setenv("SCAN_REQUIRE_ALL", "1")
    assert scan.main([]) == 1


def test_a_scanner_that_could_not_work_fails_the_scan_and_not_the_other_scanners(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Outcome:
        raise NotScanned("it has no provider")

    monkeypatch.setitem(scan.SCANNERS, "policies", broken)
    assert scan.main([]) == 1
    shown = capsys.readouterr().out
    assert "NOT_SCANNED  policies\n      it has no provider" in shown
    assert len(re.findall(r"^\w+ +passed", shown, re.MULTILINE)) == 3


def test_only_the_scanners_that_are_asked_for_run(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes["code"] = WEAK
    assert scan.main(["--only", "policies,checkov"]) == 0
    assert re.findall(r"^scan: (\w+)", capsys.readouterr().out, re.MULTILINE) == ["checkov", "policies"]


@pytest.mark.parametrize("names", ["tfsec", "checkov,", ""])
def test_an_unknown_scanner_is_refused_with_the_known_ones(
    outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str], names: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        scan.main(["--only", names])
    assert stopped.value.code == 2
    assert "choose from checkov,policies,dependencies,code" in capsys.readouterr().err


def test_the_outcome_is_written_for_programs(outcomes: dict[str, Outcome], tmp_path: Path) -> None:
    outcomes["policies"] = WEAK
    file = tmp_path / "new" / "scan.json"
    scan.main(["--json", str(file)])
    written = json.loads(file.read_text())
    assert written["passed"] is False
    assert written["scanners"].keys() == outcomes.keys()
    assert written["scanners"]["policies"]["status"] == "FAILED"
    assert written["scanners"]["policies"]["findings"] == [
        {"rule": "RULE", "place": "main.tf:3", "problem": "it is weak", "advice": "mend it"}
    ]
    assert written["scanners"]["code"] == {
        "status": "passed",
        "checked": "everything",
        "findings": [],
        "accepted": [],
        "unchecked": [],
        "seconds": written["scanners"]["code"]["seconds"],
    }


def test_the_help_has_examples_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        scan.main(["--help"])
    shown = capsys.readouterr().out
    assert "python scripts/scan.py --only checkov,policies" in shown
    assert "exit code: 0 nothing found; 1" in shown
