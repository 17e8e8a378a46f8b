"""What is behind a writer that is open: it moves points from the coalescer to the servers.

Has packages sent when there is something to send, and wakes those who wait when there is room or
when all is done. Knows the event loop; knows nothing of bytes, and of how single points come in.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from siridb_fast.batching._coalescer import Coalescer
from siridb_fast.columns.likely_times import LikelyTimes
from siridb_fast.columns.time_units import UNITS
from siridb_fast.concurrency.fork import own
from siridb_fast.concurrency.waiting import Waiters
from siridb_fast.connection.cluster import Cluster
from siridb_fast.connection.config import Config, OnDoubt
from siridb_fast.delivery.accounts import Accounts
from siridb_fast.delivery.dispatcher import Dispatcher
from siridb_fast.delivery.packages import Packages
from siridb_fast.delivery.repeats import NoRepeats, Repeats
from siridb_fast.delivery.send_queue import SendQueue
from siridb_fast.delivery.states import Policy
from siridb_fast.errors import ConfigError, WriterClosedError
from siridb_fast.query.database_facts import DatabaseFacts
from siridb_fast.query.server_queries import ServerQueries
from siridb_fast.writer.admission import Admission
from siridb_fast.writer.backlog import Backlog
from siridb_fast.writer.closing import wait_for_connections
from siridb_fast.writer.column_intake import ColumnIntake
from siridb_fast.writer.figures import Figures
from siridb_fast.writer.first_points import FirstPoints
from siridb_fast.writer.flusher import Flusher
from siridb_fast.writer.full_stores import FullStores
from siridb_fast.writer.handshake import Handshake
from siridb_fast.writer.late_points import late_points_of
from siridb_fast.writer.options import WriterOptions
from siridb_fast.writer.refitter import Refitter
from siridb_fast.writer.safety import set_doubt, set_safety
from siridb_fast.writer.series_types import SeriesTypeResolver
from siridb_fast.writer.startup import reach
from siridb_fast.writer.wakeup import Wakeup

if TYPE_CHECKING:
    from siridb_fast.writer.journaling import WriterJournal
    from siridb_fast.writer.writer_spool import WriterSpool

__all__ = ["Engine"]


class Engine:
    """The moving parts of one writer; made in the event loop that they run in.

    If it ``is_bound``, a server or database that takes the place of another one gets nothing.
    """

    def __init__(
        self,
        config: Config,
        options: WriterOptions,
        coalescer: Coalescer,
        *,
        is_bound: bool = False,
        likely_times: LikelyTimes | None = None,
    ) -> None:
        self._config = config
        self._options = options
        self._coalescer = coalescer
        self._loop = asyncio.get_running_loop()
        self._on_doubt: OnDoubt = options.on_doubt or config.on_doubt or "verify"
        self._cluster = Cluster(
            config,
            per_host=options.per_host,
            on_change=self.notify,
            waiting=lambda: self._backlog.text(),
            handshake=lambda connection: self._handshake.run(connection),
        )
        self.queries = ServerQueries(self._cluster)
        self._handshake = Handshake(
            self.queries, options, self._on_doubt, self._on_facts, is_bound=is_bound
        )
        self._facts = DatabaseFacts(
            time_precision=options.time_precision, buffer_size=options.buffer_size
        )
        self._wakeup = Wakeup(self.check)
        self.accounts = Accounts(
            time.monotonic, options.on_delivery, options.on_error, self._wakeup.raise_later
        )
        self.accounts.note_database(self._facts.buffer_points, options.time_precision)
        self._late = late_points_of(
            options, self._on_doubt, coalescer, self._cluster, self.queries
        )
        self._type_resolver = SeriesTypeResolver(
            coalescer,
            self.queries.series_types if self._late is None else self._late.types_of,
            casts=options.on_type == "cast",
            on_refused=self.accounts.book_failure,
            on_resolved=self.check,
            on_new=self._on_new_series,
            on_changed=self._on_types_changed,
        )
        self._first_points = FirstPoints(
            self.accounts,
            lambda names, host: self.queries.series_types(
                names, at=self._cluster.connection_to(host)
            ),
            waits_for_replicas=len(config.hosts) > 1,
            type_of=self._type_resolver.type_of,
            on_type=self._type_resolver.correct,
            notify=self.notify,
        )
        self._packages = Packages(
            Policy(self._on_doubt, has_spool=False),
            self._first_points,
            self._count_memory,
            Repeats(coalescer.find) if self._late is None else NoRepeats(),
            compares_late=self._late is not None,
            refuses_conflicts=options.on_conflict == "refuse",
        )
        times = likely_times or LikelyTimes()
        self._send_queue = SendQueue(
            self._packages,
            coalescer,
            self._loop.time,
            options.delivery_timeout,
            lambda first, last: times.note(first, last, self.time_precision),
            on_late=self.notify,
        )
        self._dispatcher = self._new_dispatcher()
        self._refitter: Refitter | None = None
        self._spool: WriterSpool | None = None
        self._is_running = False
        self._points_in_packages = 0
        self.waiters = Waiters(self._loop, self.notify)
        self.full_stores = self._new_full_stores()
        self.admission = self._new_admission()
        self.figures = self._new_figures()
        self._backlog = Backlog(self.figures, lambda: self._cluster.is_connected)
        self.flusher = Flusher(
            coalescer,
            self._packages,
            self._type_resolver,
            self._first_points,
            self.waiters,
            check=self.check,
            is_spool_empty=self._is_spool_empty,
            points_left=lambda: self.figures.points_in_memory,
            time_for=options.time_for,
            failure_suffix=lambda: self._cluster.failure_suffix,
        )
        own(self)

    def _new_dispatcher(self) -> Dispatcher:
        return Dispatcher(
            self._cluster,
            self._packages,
            self._send_queue,
            self.queries,
            delivery_timeout=self._options.delivery_timeout,
            max_rate=self._options.max_rate,
            notify=self.notify,
            on_checked=self._on_checked,
        )

    def _new_full_stores(self) -> FullStores:
        return FullStores(
            self._options.on_full,
            self._coalescer,
            self._packages,
            self.waiters,
            self._wakeup,
            self.accounts,
            unresolved_since=lambda: self._type_resolver.oldest_since,
        )

    def _new_admission(self) -> Admission:
        return Admission(
            self._coalescer,
            self._packages,
            self._dispatcher,
            self.waiters,
            self.full_stores,
            self._options.full_package_bytes,
            notify=self.check,
            fail=self.accounts.book_failure,
            add_late=self._send_queue.add_late,
        )

    def _new_figures(self) -> Figures:
        return Figures(
            self.accounts,
            self._cluster,
            self._coalescer,
            self._packages,
            self._dispatcher,
            self.admission,
            self.full_stores,
            self._first_points,
            self._type_resolver,
            points_in_packages=lambda: self._points_in_packages,
            spool=lambda: self._spool,
            is_open=lambda: self._is_running,
        )

    # ---- life

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that this runs in."""
        return self._loop

    @property
    def is_this_thread(self) -> bool:
        """Tell whether the event loop runs in this thread."""
        return self._wakeup.is_this_thread

    async def connect(self, timeout: float | None = None) -> None:
        """Connect, and learn about the database; without one there is, go on by ``options``.

        Raises:
            SiriDBError, OSError: No server can be reached, or none lets the user in.
        """
        try:
            await reach(self._cluster, self._config, self._options.wait_for_server, timeout)
            await self._open_spool()
        except BaseException:
            self._cluster.close()
            if self._spool is not None:
                await self._spool.close()
            raise

    @property
    def time_precision(self) -> int | None:
        """The database's, SECOND … NANOSECOND, if it is known."""
        return self._facts.time_precision

    def _on_facts(self, facts: DatabaseFacts) -> None:
        # Before a new connection is used.
        self._facts = facts
        self._type_resolver.forget_all()
        buffer_points = self._handshake.buffer_points
        self._coalescer.set_buffer(buffer_points)
        self.accounts.note_database(buffer_points, facts.time_precision)
        options, packages, cluster = self._options, self._packages, self._cluster
        set_doubt(facts, options, self._on_doubt, packages)
        more = cluster, packages, self._handshake, self.notify
        set_safety(self._dispatcher, facts, options, *more)

    async def _open_spool(self) -> None:
        options = self._options.spool_options
        if options is None:
            return
        if self.time_precision is None:
            raise ConfigError("spool= needs the right to show, or time_precision=")
        # It brings sqlite3, for those who have a spool.
        from siridb_fast.writer.writer_spool import WriterSpool

        servers = await self.queries.servers() if self._cluster.is_connected else []
        self._spool = WriterSpool(
            options,
            self._cluster,
            self._coalescer,
            self._packages,
            self._send_queue,
            self._dispatcher,
            max_buffered=self._options.max_buffered,
            full_stores=self.full_stores,
            fail=self.accounts.book_failure,
            notify=self.notify,
            type_resolver=self._type_resolver,
            first_points=self._first_points,
            on_persisted=(on := self._options.on_persisted) and partial(self.accounts.call, on),
        )
        await self._spool.open(self._config.dbname, UNITS[self.time_precision], servers)

    def start(self, intake: ColumnIntake) -> None:
        """Take points from now on; the ``intake`` knows the types that series have."""
        refitter = Refitter(
            intake, self._packages, fail=self.accounts.book_failure, notify=self.notify
        )
        self._refitter = refitter
        self._dispatcher.on_outdated = refitter.start
        self._type_resolver.keep_checking()
        if self._spool is not None:
            self._dispatcher.disk_queue = self._spool.start(refitter.refit)
            self._packages.policy = replace(self._packages.policy, has_spool=True)
            if self._late is not None:
                self._late.stand_behind(self._dispatcher)
        self._is_running = True
        self.accounts.start()
        log = None if self._spool is None else self._spool.start_journal()
        self._packages.policy = replace(self._packages.policy, has_journal=log is not None)
        self._coalescer.open(self.accounts.buffer_points, log)
        self.notify()

    def stop(self) -> None:
        """Close the connections; book whatever is left as not delivered."""
        self._is_running = False
        error = WriterClosedError(
            f"the writer was closed before the points were delivered{self._cluster.failure_suffix}"
        )
        self._cluster.close()  # before anybody is told: what is in flight cannot arrive any more
        self.full_stores.book()
        if self._packages.policy.has_journal:
            self._packages.points_in_journal += self.accounts.book_left_on_disk(self._coalescer)
        self.accounts.book_dropped(self._coalescer, error)
        self._packages.policy = replace(self._packages.policy, has_spool=False)
        self._dispatcher.abandon(error)
        self._first_points.stop()
        self._type_resolver.stop()
        if self._refitter is not None:
            self._refitter.stop()
        if self._spool is not None:
            self._spool.end()
        self._wakeup.stop()

    def disown(self) -> None:
        """Take and send nothing more; called in a child of a fork."""
        self._is_running = False
        self._coalescer.close()
        self._dispatcher.stop()

    async def wait_stopped(self) -> None:
        """Wait until the connections are gone, but not for long."""
        await wait_for_connections(self._cluster)

    async def spool_remaining(self) -> None:
        """Leave what is not delivered in the spool, if there is one, and close that."""
        if self._spool is None or not self._spool.is_started:
            return
        self._type_resolver.stop()
        self._type_resolver.postpone()
        self._coalescer.flush(time.monotonic())
        self._dispatcher.leave_all_on_disk()
        self._cluster.close()
        await self.wait_stopped()  # before the next writer can have the spool, and look
        await self._spool.finish()

    @property
    def journal(self) -> WriterJournal | None:
        """That of the writer, if it has one."""
        return None if self._spool is None else self._spool.journal

    def _is_spool_empty(self) -> bool:
        return self._spool is None or self._spool.is_empty or not self._cluster.is_connected

    # ---- waking

    def notify(self) -> None:
        """Wake the event loop, for which there may be something to do; from any thread."""
        if not self._is_running:
            return
        try:
            self._wakeup.soon()
        except RuntimeError:
            self._coalescer.close()  # to refuse what comes from now on
            raise WriterClosedError("the event loop of the writer is closed") from None

    def check(self) -> None:
        """Send what should leave, and wake those who wait for what is true now."""
        self._wakeup.begin()
        if self._is_running:
            if self._dispatcher.disk_queue is not None and not self._cluster.is_connected:
                self._type_resolver.postpone()
            else:
                self._type_resolver.start(may_ask=self._cluster.is_connected)
            self.full_stores.check()
            self._dispatcher.check()

    def _on_checked(self) -> None:
        # For the oldest point; if it was due already, an answer or a connection is waited for.
        if self._spool is not None:
            self._spool.check()
        self.waiters.wake()
        self._backlog.check()
        if self._late is not None and self._late.take_end_of_former():
            self._type_resolver.forget_all()
        if self._is_running:
            self._wakeup.at(self._coalescer.oldest_since + self._options.linger)

    def forget_types(self) -> None:
        """Have the types of all series asked for again, which somebody has dropped; any thread."""
        self._loop.call_soon_threadsafe(partial(self._type_resolver.forget_all, is_open=True))

    def _on_new_series(self, names: list[str]) -> None:
        if self.queries.may_list:
            self._first_points.expect(names)

    def _on_types_changed(self) -> None:
        self._packages.generation += 1
        self._first_points.distrust()
        self.notify()

    def _count_memory(self, size: int, points: int) -> None:
        self._coalescer.sealed_bytes += size
        self._points_in_packages += points
