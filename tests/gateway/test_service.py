"""The unit for systemd, as systemd itself reads it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "docs/gateway/siridb-fast-gateway.service"


def test_systemd_has_nothing_against_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    path = tmp_path / UNIT.name  # with a program that is there
    path.write_text(UNIT.read_text().replace("/opt/siridb-fast/bin/siridb-fast", sys.executable))
    done = subprocess.run(
        [program, "verify", str(path)],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "notice"},
    )  # fmt: skip
    about = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, about) == (0, [])


def test_unit_gives_the_gateway_more_time_than_it_takes_to_end() -> None:
    text = UNIT.read_text()
    found = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert found["Type"] == "notify"
    assert int(found["TimeoutStopSec"]) > 20  # drain_timeout
    assert int(found["WatchdogSec"]) >= 10
