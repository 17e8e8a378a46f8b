"""Line protocol with the sections of `influx_inspect export` and `influx -import`."""

import pytest

from siridb_fast.formats.influx_export import InfluxExport
from siridb_fast.formats.points import LineError
from tests.formats.parsed import found

EXPORT = b"""# INFLUXDB EXPORT: 1677-09-21T00:12:43Z - 2262-04-11T23:47:16Z
# DDL
CREATE DATABASE "db0" WITH NAME autogen
CREATE RETENTION POLICY oneyear ON db0 DURATION 365d REPLICATION 1

# DML
# CONTEXT-DATABASE:db0
# CONTEXT-RETENTION-POLICY:autogen
# writing tsm data
m,dest=db0 value=0 1516242288102872319
m,dest=db0 text="# DDL
" 5
# CONTEXT-DATABASE:db0
m,dest=db0 value=1 6
"""


@pytest.mark.parametrize("size", [1, 10, 50, None])
def test_statements_are_passed_over_and_lines_are_counted(size: int | None) -> None:
    text = EXPORT.replace(b'text="# DDL\n" 5', b"value=2 5\n")
    rows, bad = found(InfluxExport(), text, size)
    assert bad == []
    assert [row[1:] for row in rows] == [
        (1516242288102872319, 0.0, 10),
        (5, 2.0, 11),
        (6, 1.0, 14),
    ]


def test_points_of_several_measurements_are_read() -> None:  # as openGemini exports them
    text = b"# DML\n# CONTEXT-DATABASE: d\n# CONTEXT-MEASUREMENT: a\na v=1 5\n"
    rows, bad = found(InfluxExport(), text + b"# CONTEXT-MEASUREMENT: b\nb v=1 5\n")
    assert ([row[0].measurement for row in rows], bad) == (["a", "b"], [])


def test_statements_that_are_not_in_their_section_are_bad_lines() -> None:
    rows, bad = found(InfluxExport(), b"CREATE DATABASE db0\r\n# DML\r\nm v=1 5\r\n")
    assert [row[1] for row in rows] == [5]
    assert [one.line for one in bad] == [1]


@pytest.mark.parametrize(
    ("name", "words"),
    [("DATABASE", "the database 'db1'"), ("RETENTION-POLICY", "the retention policy 'db1'")],
)
def test_points_of_several_databases_are_refused(name: str, words: str) -> None:
    text = f"{EXPORT.decode()}# CONTEXT-{name}: db1\nm v=1 7\n".encode()
    with pytest.raises(LineError, match=words):
        found(InfluxExport(), text)
