from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ui.relaxed_json import RelaxedJsonError, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_every_json_text_keeps_its_value(value: Any, ascii_only: bool, indent: int | None) -> None:
    assert loads(json.dumps(value, ensure_ascii=ascii_only, indent=indent)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['Cat', 'Dog']", ["Cat", "Dog"]),
        ("{ text: 'None of the above' }", {"text": "None of the above"}),
        ('[{label: "x", left: 1,},]', [{"label": "x", "left": 1}]),
        ("{'a-b': -1.5e3, $c_1: null, true: true}", {"a-b": -1500.0, "$c_1": None, "true": True}),
        (r"""['it\'s', "it's", 'say "hi"', '\\', '\u732b\n']""", ["it's", "it's", 'say "hi"', "\\", "猫\n"]),
        ("'two\nlines'", "two\nlines"),
        ("\n[\t]\r\n", []),
        ("{}", {}),
    ],
)
def test_what_awss_examples_write_is_read(text: str, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "character 1: expected a value"),
        ("[1 2]", "character 4: expected a comma or ]"),
        ("[cat]", "character 2: expected a value"),
        ("['it's']", "character 6: expected a comma or ]"),
        ("{'a' 1}", "character 6: expected a colon"),
        ("{1: 2}", "character 2: expected a key"),
        ("[1,,2]", "character 4: expected a value"),
        ("[1] 2", "character 5: expected the end"),
        ('["a', "character 2: expected a text that ends"),
        (r"['\x']", "character 2: expected a text with JSON's escapes"),
        ("{a: undefined}", "character 5: expected a value"),
        ("[" * 200, "expected at most 100 levels"),
        ("[", "found the end"),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, place: str) -> None:
    with pytest.raises(RelaxedJsonError) as error:
        loads(text)
    assert place in str(error.value)
