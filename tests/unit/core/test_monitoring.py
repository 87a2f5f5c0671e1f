"""The dashboard and the alarms in Terraform show what the functions write, and say what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import combinations
from typing import Any

import pytest

from terraform.repository import ROOT, Repository, Stack, some
from truthloop.errors import InvalidRequest
from truthloop.request import parse_request
from unit.core.emf import DECISION, declared
from unit.core.kit import request_document

MODULE = "terraform/modules/monitoring"
NAMESPACE = "${var.metrics_namespace}"
CAMPAIGN = "${local.campaign}"
ENDED = re.compile(r"LabelingJobs(Completed|Failed|Stopped)")
COLUMNS = 24
Series = tuple[str, bool, str]


def alarms(module: Stack) -> dict[str, Mapping[str, Any]]:
    found = {name: body for (kind, name), body in module.typed("resource").items() if kind.endswith("_alarm")}
    return some(found, "alarms")


def widgets(module: Stack) -> list[Mapping[str, Any]]:
    known = module.locals()
    return some([*known.get("stack_widgets", []), *known.get("campaign_widgets", [])], "widgets")


def queries(alarm: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The metrics of a metric-math alarm by id, with what `for_each` puts into them."""
    found = {}
    for block in alarm.get("dynamic", []):
        query = block["metric_query"]
        [content] = query["content"]
        [metric] = content["metric"]
        for key, value in query["for_each"].items():
            found[key] = _filled(metric, value)
    return found


def _filled(metric: Mapping[str, Any], value: Any) -> Mapping[str, Any]:
    names = value if isinstance(value, Mapping) else {"": value}
    known = {f"${{metric_query.value{name and '.'}{name}}}": text for name, text in names.items()}

    def fill(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: fill(inner) for key, inner in part.items()}
        return known.get(part, part)

    return {key: fill(part) for key, part in metric.items()}


def alarmed(module: Stack) -> dict[Series, str]:
    """The series of our own that an alarm reads, each with its statistic."""
    found = {}
    for alarm in alarms(module).values():
        for metric in [alarm, *queries(alarm).values()]:
            if metric.get("namespace") == NAMESPACE:
                dimensions = metric["dimensions"]
                assert set(dimensions) == {"service"}, "an alarm can name no campaign"
                series = (dimensions["service"], False, metric["metric_name"])
                found[series] = metric.get("statistic") or metric["stat"]
    return some(found, "metrics of our own in alarms")


def shown(module: Stack) -> dict[Series, str]:
    """The series of our own on the dashboard, each with its statistic."""
    found = {}
    for widget in widgets(module):
        listed = widget["properties"].get("metrics", [])
        for metric in listed if isinstance(listed, list) else []:
            if metric[0] != NAMESPACE:
                continue
            words = [word for word in metric[2:] if isinstance(word, str)]
            dimensions = dict(zip(words[::2], words[1::2], strict=True))
            assert dimensions.get("campaign", CAMPAIGN) == CAMPAIGN
            assert set(dimensions) <= {"campaign", "service"}
            series = (dimensions["service"], "campaign" in dimensions, metric[1])
            found[series] = widget["properties"]["stat"]
    return some(found, "metrics of our own on the dashboard")


# ---- the checks, each yielding problems


def alarms_read_what_the_functions_write(repository: Repository) -> Iterator[str]:
    module = repository.module("monitoring")
    written = set().union(*declared().values())
    for series in alarmed(module).keys() - written:
        yield f"an alarm reads {series}, which no function writes"
    # What is written for the whole stack is written for an alarm, or at least to be seen.
    stack = {series for series in written if not series[1]}
    for series in stack - alarmed(module).keys() - shown(module).keys():
        yield f"{series} is written for the whole stack, and neither an alarm nor the dashboard reads it"


def the_dashboard_shows_what_the_functions_write(repository: Repository) -> Iterator[str]:
    module = repository.module("monitoring")
    written = set().union(*declared().values())
    for series in shown(module).keys() - written:
        yield f"the dashboard shows {series}, which no function writes"
    for series in {series for series in written if series[1]} - shown(module).keys():
        yield f"the dashboard lacks {series}"


def statistics_bear_repetition(repository: Repository) -> Iterator[str]:
    module = repository.module("monitoring")
    for series, statistic in [*alarmed(module).items(), *shown(module).items()]:
        expected = "Sum" if ENDED.fullmatch(series[2]) else "Maximum"
        if statistic != expected:
            yield f"{series} is read by {statistic}, not by {expected}"


def alarms_are_complete(repository: Repository) -> Iterator[str]:
    for name, alarm in alarms(repository.module("monitoring")).items():
        if alarm.get("alarm_name") != f"${{var.name_prefix}}-{name.replace('_', '-')}":
            yield f"{name}: its name is not the prefix and its own"
        if alarm.get("alarm_actions") != ["${var.alarm_topic_arn}"]:
            yield f"{name}: it tells nobody"
        if alarm.get("treat_missing_data") not in {"breaching", "ignore", "missing", "notBreaching"}:
            yield f"{name}: it does not say what missing data means"
        for metric in [alarm, *queries(alarm).values()]:
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
            period = metric.get("period", 60)
            longest = 86_400 if period < 3_600 else 604_800
            if period % 60 or period * alarm.get("evaluation_periods", 0) not in range(1, longest + 1):
                yield f"{name}: CloudWatch takes no period of {period} s so often"


def alarms_calculate_with_metrics_that_they_have(repository: Repository) -> Iterator[str]:
    found = {
        name: alarm for name, alarm in alarms(repository.module("monitoring")).items() if "dynamic" in alarm
    }
    for name, alarm in some(found, "alarms with an expression").items():
        [result] = alarm["metric_query"]
        used = set(re.findall(r"\b[a-z]\w*\b", result["expression"]))
        if used != set(queries(alarm)):
            yield f"{name}: the expression names {sorted(used)}, the metrics are {sorted(queries(alarm))}"
        if result.get("return_data") is not True:
            yield f"{name}: the expression's value is not the one that counts"
        if len(queries(alarm)) > 10:
            yield f"{name}: an alarm takes at most 10 metrics"


def all_alarms_are_put_out(repository: Repository) -> Iterator[str]:
    module = repository.module("monitoring")
    listed = module.locals()["alarm_arns"]
    expected = {name: f"${{aws_cloudwatch_metric_alarm.{name}.arn}}" for name in alarms(module)}
    if dict(listed) != expected:
        yield f"the list of alarms is {sorted(listed)}, the alarms are {sorted(expected)}"


def the_readme_explains_every_alarm(repository: Repository) -> Iterator[str]:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+ \| .+) \|$", _section(repository, "Alarms"), re.M))
    expected = {
        alarm["alarm_name"].removeprefix("${var.name_prefix}-"): alarm.get("alarm_description", "")
        for alarm in alarms(repository.module("monitoring")).values()
    }
    for name in rows.keys() ^ expected.keys():
        yield f"{name} is either an alarm without a row in the README or a row without an alarm"
    for name in rows.keys() & expected.keys():
        if rows[name].replace(" | ", " ") != expected[name]:
            yield f"{name}: the README says something else than the alarm's description"


def _section(repository: Repository, title: str) -> str:
    return repository.text(f"{MODULE}/README.md").split(f"\n## {title}\n")[1].split("\n## ")[0]


def widgets_have_their_place(repository: Repository) -> Iterator[str]:
    placed = {}
    for widget in widgets(repository.module("monitoring")):
        name = widget["properties"].get("title") or widget["properties"]["markdown"]
        x, y, width, height = (widget[key] for key in ("x", "y", "width", "height"))
        if not (x >= 0 and x + width <= COLUMNS and width > 0 and height > 0 <= y):
            yield f"{name}: it does not fit into {COLUMNS} columns"
        placed[(name, x, y)] = {
            (column, row) for column in range(x, x + width) for row in range(y, y + height)
        }
    for (first, cells), (second, others) in combinations(placed.items(), 2):
        if cells & others:
            yield f"{first[0]} and {second[0]} lie on one another"


def widgets_say_where_they_look(repository: Repository) -> Iterator[str]:
    for widget in widgets(repository.module("monitoring")):
        kind, properties = widget["type"], widget["properties"]
        needed = {
            "alarm": {"title", "alarms"},
            "log": {"title", "region", "view", "query"},
            "metric": {"title", "region", "view", "stat", "period", "metrics"},
            "text": {"markdown"},
        }[kind]
        if missing := needed - set(properties):
            yield f"{properties.get('title', kind)}: it lacks {sorted(missing)}"
        if properties.get("region", "${var.aws_region}") != "${var.aws_region}":
            yield f"{properties['title']}: it looks into another region"


def the_campaign_is_chosen_everywhere(repository: Repository) -> Iterator[str]:
    module = repository.module("monitoring")
    known, body = module.locals(), module.resource("aws_cloudwatch_dashboard")["dashboard_body"]
    for part in (
        'type = "pattern"',
        "pattern = local.campaign",
        'inputType = "select"',
        r'search = "{\"${var.metrics_namespace}\",campaign,service}"',
        'populateFrom = "campaign"',
        "widgets = concat(local.stack_widgets, local.campaign_widgets)",
    ):
        if part not in body:
            yield f"the dashboard's variable lacks {part}"
    # The name replaces the text wherever it stands, so it may stand nowhere by chance.
    text = "".join(module.files.values()).replace(f'campaign = "{known["campaign"]}"', "", 1)
    if known["campaign"] in text:
        yield "the text that stands for a campaign is written out where the local should be used"
    with suppress(InvalidRequest):
        parse_request(request_document(campaign=known["campaign"]))
        yield "a campaign could have the name that stands for the chosen one"
    for widget in some(known["campaign_widgets"], "widgets of a campaign"):
        if CAMPAIGN not in str(widget):
            yield f"{widget['properties']} does not depend on the campaign"


def the_table_of_rounds_reads_what_decide_logs(repository: Repository) -> Iterator[str]:
    module = repository.module("monitoring")
    [table] = [widget for widget in widgets(module) if widget["type"] == "log"]
    query = table["properties"]["query"]
    [message] = re.findall(r"message = '([^']+)'", query)
    if (
        f'logger.info("{message}", campaign=layout.campaign, **decision)'
        not in repository.handlers()["decide"]
    ):
        yield f"decide logs no {message!r}"
    [named] = re.findall(r'"fields ([^"]+)"', query)
    logged = {*_paths(DECISION), "round", "stop", "rule", "reason"}
    for name in set(named.split(", ")) - logged:
        yield f"the decision has no {name}"
    if 'var.function_names["decide"]' not in query.replace('\\"', '"'):
        yield "the table reads another function's log"


def _paths(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def the_budget_counts_the_stack_and_tells_the_topic(repository: Repository) -> Iterator[str]:
    budget = repository.module("monitoring").resource("aws_budgets_budget")
    if '${join("$", ["user:Stack", var.name_prefix])}' not in str(budget.get("cost_filter")):
        yield "the budget counts something else than the tag Stack"
    told = {
        (each["notification_type"], each["threshold"], tuple(each.get("subscriber_sns_topic_arns", ())))
        for each in budget.get("notification", [])
    }
    topic = ("${var.alarm_topic_arn}",)
    if told != {("ACTUAL", 80, topic), ("FORECASTED", 100, topic)}:
        yield f"the budget tells {sorted(told)}"


def functions_are_given_by_their_folders(repository: Repository) -> Iterator[str]:
    folders = set(repository.handlers())
    for service in declared():
        if service not in folders:
            yield f"there is no function {service}"
    for folder, text in repository.handlers().items():
        if ("Metrics()" in text) != (folder in declared()):
            yield f"{folder} measures something that truthloop.metrics does not say, or the reverse"


CHECKS = [
    alarms_read_what_the_functions_write,
    the_dashboard_shows_what_the_functions_write,
    statistics_bear_repetition,
    alarms_are_complete,
    alarms_calculate_with_metrics_that_they_have,
    all_alarms_are_put_out,
    the_readme_explains_every_alarm,
    widgets_have_their_place,
    widgets_say_where_they_look,
    the_campaign_is_chosen_everywhere,
    the_table_of_rounds_reads_what_decide_logs,
    the_budget_counts_the_stack_and_tells_the_topic,
    functions_are_given_by_their_folders,
]
ALARMS, MAIN, README = f"{MODULE}/alarms.tf", f"{MODULE}/main.tf", f"{MODULE}/README.md"
MUTATIONS = {
    alarms_read_what_the_functions_write: [
        (ALARMS, '"BudgetUsed"', '"BudgetSpent"'),
        (ALARMS, '{ service = "decide" }', '{ service = "merge_labels" }'),
        (ALARMS, 'name = "LabelingJobsStopped"', 'name = "LabelingJobsHalted"'),
        (MAIN, '"OpenLabelingJobs", "service"', '"HoursWithoutProgress", "service"'),
    ],
    the_dashboard_shows_what_the_functions_write: [
        (MAIN, '"TestQuality"', '"Accuracy"'),
        (MAIN, '"service", "merge_labels"', '"service", "decide"'),
        (MAIN, '"ObjectsFailed", "campaign", local.campaign, "service"', '"ObjectsFailed", "service"'),
    ],
    statistics_bear_repetition: [
        (ALARMS, 'statistic           = "Maximum"', 'statistic           = "Sum"'),
        (MAIN, 'stat    = "Sum"\n        period  = 3600', 'stat    = "Average"\n        period  = 3600'),
    ],
    alarms_are_complete: [
        (ALARMS, "alarm_actions      = [var.alarm_topic_arn]\n  ok", "ok"),
        (
            ALARMS,
            'treat_missing_data = "notBreaching"\n  alarm_actions      = [var.alarm_topic_arn]\n  ok',
            "ok",
        ),
        (ALARMS, '-dead-letters"', '-letters"'),
        (ALARMS, "period      = 86400", "period      = 864000"),
    ],
    alarms_calculate_with_metrics_that_they_have: [
        (ALARMS, "FILL(aborted, 0)", "FILL(stopped, 0)"),
        (ALARMS, "return_data = true", "return_data = false"),
    ],
    all_alarms_are_put_out: [
        (ALARMS, "    dead_letters         = aws_cloudwatch_metric_alarm.dead_letters.arn\n", ""),
    ],
    the_readme_explains_every_alarm: [
        (README, "| `dead-letters` |", "| `letters` |"),
        (README, "Read a message", "Read the message"),
        (ALARMS, "Too large a share", "A share"),
    ],
    widgets_have_their_place: [
        (MAIN, "      x      = 16\n      y      = 4\n", "      x      = 18\n      y      = 4\n"),
        (MAIN, "      x      = 16\n      y      = 4\n", "      x      = 15\n      y      = 4\n"),
    ],
    widgets_say_where_they_look: [
        (MAIN, "        region      = var.aws_region\n", ""),
        (MAIN, "region = var.aws_region", 'region = "us-east-1"'),
    ],
    the_campaign_is_chosen_everywhere: [
        (MAIN, "pattern   = local.campaign", 'pattern   = "campaign"'),
        (MAIN, 'campaign = "CHOSEN_CAMPAIGN"', 'campaign = "chosen-campaign"'),
        (MAIN, "## All campaigns of", "## CHOSEN_CAMPAIGN of"),
        (MAIN, 'populateFrom = "campaign"', 'populateFrom = "service"'),
    ],
    the_table_of_rounds_reads_what_decide_logs: [
        (MAIN, "the round is decided", "a round is decided"),
        (MAIN, "labels.people,", "labels.persons,"),
        (MAIN, '["decide"]', '["merge_labels"]'),
        ("lambdas/decide/handler.py", "the round is decided", "decided"),
    ],
    the_budget_counts_the_stack_and_tells_the_topic: [
        (MAIN, "user:Stack", "user:Application"),
        (MAIN, '"FORECASTED"', '"ACTUAL"'),
    ],
    functions_are_given_by_their_folders: [
        ("lambdas/prepare/handler.py", "logger = Logger()", "logger = Logger()\nmetrics = Metrics()"),
        ("lambdas/merge_labels/handler.py", "metrics = Metrics()", ""),
    ],
}


@pytest.fixture(scope="module")
def repository() -> Repository:
    return Repository.load()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_monitoring_keeps_the_promise(repository: Repository, check: Any) -> None:
    assert list(check(repository)) == []


@pytest.mark.parametrize(
    ("check", "edit"),
    [(check, edit) for check in CHECKS for edit in MUTATIONS[check]],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_mistake_in_the_monitoring_is_found(repository: Repository, check: Any, edit: Any) -> None:
    assert list(check(repository.edited(*edit))) != []


def test_the_functions_readme_lists_every_metric_where_it_is_written() -> None:
    text = (ROOT / "lambdas" / "README.md").read_text(encoding="utf-8").split("\n## Metrics\n")[1]
    listed: set[Series] = set()
    for service, own, stack in re.findall(r"^\| `(\w+)` \|(.*)\|(.*)\|$", text, re.M):
        names = re.findall(r"`(\w+)`", own)
        both = names if "these" in stack else []
        listed |= {(service, True, name) for name in names}
        listed |= {(service, False, name) for name in [*both, *re.findall(r"`(\w+)`", stack)]}
    assert listed == set().union(*declared().values())
