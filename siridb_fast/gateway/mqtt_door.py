"""The door of MQTT: asks a broker for topics, and acknowledges what is as safe as was asked for.

A broker waits for the acknowledgements of some messages of QoS 1 before it brings more; so what
finds no room waits there. What comes together is taken, and made safe, together. Acknowledgements
go out in the order in which the messages came, as MQTT wants it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from siridb_fast.concurrency.tasks import begin_task, cancel_task
from siridb_fast.errors import WriterClosedError
from siridb_fast.gateway.desk import Desk
from siridb_fast.gateway.errors import NotDeliveredError, OverloadedError
from siridb_fast.gateway.intake import Taken
from siridb_fast.gateway.mqtt_config import MqttConfig
from siridb_fast.gateway.mqtt_groups import MessageReader, ReadLines
from siridb_fast.gateway.mqtt_payloads import Message
from siridb_fast.gateway.mqtt_session import BrokerSession

__all__ = ["MqttDoor"]

MIB = 1024 * 1024
MOST = 8 * MIB  # bytes that wait; of more, messages of QoS 0 are dropped
FULL = 16 * MIB  # then the broker is not read
LARGEST = 16 * MIB  # bytes of a message
OVERHEAD = 500  # bytes of a message beside its topic and payload
AT_ONCE = 2_000  # messages that are taken together
FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0  # seconds

logger = logging.getLogger("siridb_fast")


@dataclass(frozen=True, slots=True)
class _Group:
    # Messages that came together, and what became of their lines.
    messages: list[Message]
    taken: list[tuple[ReadLines, Taken]]


class MqttDoor:
    """That of one broker.

    Args:
        desk: Of it.
        config: Of the broker.
    """

    def __init__(self, desk: Desk, config: MqttConfig) -> None:
        self.desk = desk
        self._config = config
        self._reader = MessageReader(desk, config.topics)
        most = LARGEST + desk.kiosk.limits.max_line
        self._session = BrokerSession(config, self._receive, self._show_state, most)
        self._waiting: list[Message] = []
        self._size = 0  # bytes that wait, or are taken and not yet safe
        self._is_paused = False
        self._is_stopped = False
        self._has_messages = asyncio.Event()
        self._groups: asyncio.Queue[_Group | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        desk.figures.trouble = "the broker is not connected yet"

    def count(self) -> None:
        """Have the figures say whether there is a connection."""
        figures = self.desk.figures
        figures.connections = int(self._session.is_connected)
        figures.reconnects = max(0, self._session.connections - 1)

    async def open(self) -> None:
        """Begin to connect; a broker that is not there may come later."""
        work = (self._session.run(), self._take_all(), self._acknowledge_all())
        self._tasks = [begin_task(one) for one in work]
        for task in self._tasks:
            task.add_done_callback(self._tell_of_mistake)

    async def stop(self) -> None:
        """Read no more, take and acknowledge what was read, and take leave."""
        self._is_stopped = True
        self._session.pause()
        self._has_messages.set()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks[1:])
        finally:
            self._session.disconnect()
            for task in self._tasks:
                cancel_task(task)

    # ---- inside

    def _tell_of_mistake(self, task: asyncio.Task[None]) -> None:
        # Whatever it is, nothing comes in any more, and somebody has to know.
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.desk.figures.trouble = f"the door has failed: {exc!r}"
            logger.error("mqtt: the door has failed", exc_info=exc)

    def _receive(self, message: Message) -> None:
        figures = self.desk.figures
        figures.requests += 1
        figures.bytes += len(message.payload)
        if self._is_stopped or (message.qos == 0 and self._size > MOST):
            if message.qos == 0:
                figures.dropped += 1
                self.desk.note("there is no room for more messages of QoS 0: they are dropped")
            return
        self._waiting.append(message)
        self._size += _size(message)
        if self._size > FULL and not self._is_paused:
            self._is_paused = True
            self._session.pause()
        self._has_messages.set()

    def _show_state(self, trouble: str) -> None:
        self.desk.figures.trouble = f"{self._config.place}: {trouble}" if trouble else ""

    async def _take_all(self) -> None:
        while not (self._is_stopped and not self._waiting):
            await self._has_messages.wait()
            messages, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            if not self._waiting and not self._is_stopped:
                self._has_messages.clear()
            try:
                taken = await self._take(messages)
            except OverloadedError:  # the writer is closed: whatever is left comes again
                break
            if any(message.qos for message in messages):
                self._groups.put_nowait(_Group(messages, taken))
            else:
                self._release(messages)
        self._groups.put_nowait(None)

    async def _take(self, messages: list[Message]) -> list[tuple[ReadLines, Taken]]:
        found = []
        for lines in self._reader.read(messages):
            taken = await self.desk.take_rows(lines.rows, waits=True)
            if taken.bad:
                self.desk.refuse_lines([(bad, lines.texts[bad.line - 1]) for bad in taken.bad])
            found.append((lines, taken))
        return found

    def _release(self, messages: Sequence[Message]) -> None:
        self._size -= sum(map(_size, messages))
        if self._is_paused and self._size < FULL // 2 and not self._is_stopped:
            self._is_paused = False
            self._session.resume()

    async def _acknowledge_all(self) -> None:
        while (group := await self._groups.get()) is not None:
            try:
                for lines, taken in group.taken:
                    await self._make_safe(lines, taken)
            except (WriterClosedError, OverloadedError):
                return
            for message in group.messages:
                if message.qos:
                    self._session.acknowledge(message)
            self._release(group.messages)

    async def _make_safe(self, lines: ReadLines, taken: Taken) -> None:
        # What the database refuses for good is in the dead letters, and would be refused for ever.
        pause = FIRST_RETRY
        while True:
            try:
                await self.desk.intake.acknowledged(taken)
                return
            except NotDeliveredError as exc:
                self.desk.note(str(exc))
                if exc.report is None:
                    continue
                if not exc.may_help_again:
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY)
            taken = await self.desk.intake.take(lines.rows, waits=True)


def _size(message: Message) -> int:
    return len(message.payload) + len(message.topic) + OVERHEAD
