"""A gateway that is killed loses no message that it has acknowledged, and doubles none.

The publisher goes on meanwhile; TEST_EXAMPLES=10 kills it twenty times.
"""

import json
import random
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from tests.fix_examples import examples
from tests.fix_loop import LOOPS, run
from tests.fix_server import Database
from tests.gateway.brokers import Broker, a_broker
from tests.gateway.gateways import gateway_process, stored

AT = 1_700_000_000_000_000_000
KILLS = 2
CONFIG = """
url = {url}
journal = "gateway.journal"
linger = 0.2
[mqtt]
url = "{broker}"
client_id = "killed"
[[mqtt.topics]]
filter = "kill/{{measurement}}"
payload = "json"
"""


class Publisher:
    """Publishes messages with a time each, of QoS 1, whenever it is asked."""

    def __init__(self, broker: Broker) -> None:
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(1000)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        self.count = 0
        self._last: MQTTMessageInfo | None = None

    def publish(self, count: int) -> None:
        """Publish so many more, and do not wait until the broker has them."""
        for n in range(self.count, self.count + count):
            payload = json.dumps({"timestamp": AT + n, "v": n})
            self._last = self.client.publish(f"kill/m{n % 5}", payload, qos=1)
        self.count += count

    def end(self) -> None:
        """Wait until the broker has all."""
        assert self._last is not None
        self._last.wait_for_publish(60)
        self.client.disconnect()
        self.client.loop_stop()


def test_nothing_that_was_acknowledged_is_lost_or_doubled(
    own_database: Database, tmp_path: Path
) -> None:
    config = tmp_path / "gateway.toml"
    chance = random.Random(7)
    with a_broker(tmp_path) as broker:
        config.write_text(CONFIG.format(url=json.dumps(own_database.url), broker=broker.url))
        arguments = ("--config", str(config))
        with gateway_process(*arguments):
            broker.wait_for("Sending SUBACK to killed")
        publisher = Publisher(broker)
        for _ in range(examples(KILLS)):
            before = broker.count("Received PUBACK from killed")
            with gateway_process(*arguments) as (process, _):
                publisher.publish(chance.randrange(3000, 6000))
                broker.wait_for("Received PUBACK from killed", before + chance.randrange(2000))
                process.kill()
                process.wait(60)
        publisher.end()
        with gateway_process(*arguments):
            broker.publish("kill/last", json.dumps({"timestamp": AT, "v": 0}))
            broker.wait_for_all_acknowledged("killed", "kill/last")
        sent = broker.count("Sending PUBLISH to killed")
        assert sent > publisher.count, "none came twice, so nothing was tried"
    found: dict[str, list[list[float]]] = {}

    async def ask() -> None:
        found.update(await stored(own_database))

    run(ask(), LOOPS["uvloop"])
    assert found.pop("last:v") == [[AT, 0.0]]
    points = sorted(point for name in found for point in found[name])
    assert points == [[AT + n, float(n)] for n in range(publisher.count)]
