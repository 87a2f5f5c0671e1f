"""The environment contract of the functions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from truthloop import environment
from truthloop.errors import MissingEnvironment


@dataclass(frozen=True)
class Contract:
    DATA_BUCKET: str
    LEDGER_TABLE: str
    WORKTEAM_ARN: str


def test_every_missing_variable_is_named_at_once():
    with pytest.raises(MissingEnvironment) as raised:
        environment.load(Contract, {"LEDGER_TABLE": "ledger", "WORKTEAM_ARN": ""})
    assert "DATA_BUCKET, WORKTEAM_ARN are missing" in str(raised.value)


@dataclass(frozen=True)
class Lenient:
    DATA_BUCKET: str
    AUDITORS_WORKTEAM_ARN: str = ""


@pytest.mark.parametrize("more", [{}, {"AUDITORS_WORKTEAM_ARN": ""}])
def test_a_variable_with_a_default_may_be_missing_or_empty(more):
    assert environment.load(Lenient, {"DATA_BUCKET": "b", **more}) == Lenient("b", "")
    with pytest.raises(MissingEnvironment, match=r"variables DATA_BUCKET are missing"):
        environment.load(Lenient, more)


def test_declared_variables_are_read_and_others_ignored():
    variables = {"DATA_BUCKET": "b", "LEDGER_TABLE": "t", "WORKTEAM_ARN": "a", "PATH": "/bin"}
    assert environment.load(Contract, variables) == Contract("b", "t", "a")


def test_the_process_environment_is_the_default(monkeypatch):
    for name in ("DATA_BUCKET", "LEDGER_TABLE", "WORKTEAM_ARN"):
        monkeypatch.setenv(name, name.lower())
    assert environment.load(Contract).DATA_BUCKET == "data_bucket"


def test_a_contract_that_is_no_dataclass_is_refused():
    with pytest.raises(TypeError, match="not a dataclass"):
        environment.load(dict)
