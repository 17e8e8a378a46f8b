"""Options: each keyword is there with one type, and no default is another one elsewhere."""

import dataclasses
import inspect
from typing import Any, get_type_hints

import pytest

from siridb_fast import Config, SiriDBClient
from siridb_fast.client.options import (
    FrameKeywords,
    FrameOptions,
    InsertKeywords,
    InsertOptions,
)
from siridb_fast.columns.rules import ColumnRules
from siridb_fast.loading.options import LoadKeywords, LoadOptions
from siridb_fast.writer.options import WriterKeywords, WriterOptions

PAIRS = [
    (WriterKeywords, WriterOptions),
    (LoadKeywords, LoadOptions),
    (InsertKeywords, InsertOptions),
    (FrameKeywords, FrameOptions),
]
OWN_DEFAULTS = {"on_missing", "max_buffered"}  # of a load, beside those of a writer


def defaults(options: Any) -> dict[str, Any]:
    fields = dataclasses.fields(options)
    return {field.name: field.default for field in fields if field.default != dataclasses.MISSING}


@pytest.mark.parametrize(("keywords", "options"), PAIRS)
def test_keywords_have_the_names_and_types_of_the_options(keywords: Any, options: Any) -> None:
    given = {field.name for field in dataclasses.fields(options) if field.init}
    hints = get_type_hints(options)
    assert get_type_hints(keywords) == {name: hints[name] for name in given}


@pytest.mark.parametrize("options", [WriterOptions, LoadOptions, InsertOptions, FrameOptions])
def test_every_option_has_a_default(options: Any) -> None:
    options()


@pytest.mark.parametrize("others", [InsertOptions, ColumnRules, LoadOptions])
def test_defaults_are_those_of_a_writer(others: Any) -> None:
    own = OWN_DEFAULTS if others is LoadOptions else set()
    writer, other = defaults(WriterOptions), defaults(others)
    both = writer.keys() & other.keys() - own
    assert {name: other[name] for name in both} == {name: writer[name] for name in both}
    assert both


def test_defaults_of_a_client_are_those_of_its_config() -> None:
    parameters = inspect.signature(SiriDBClient).parameters
    client = {name: parameters[name].default for name in defaults(Config)}
    assert client == defaults(Config)
