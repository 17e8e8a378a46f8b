"""Brokers of MQTT, for tests; without Debian's mosquitto these are skipped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.brokers import Broker, a_broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Run a broker for all tests of a file that do not stop it, each with its own client_id."""
    with a_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Run a broker that may be stopped."""
    with a_broker(tmp_path) as broker:
        yield broker
