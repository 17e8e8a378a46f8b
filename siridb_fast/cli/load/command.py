"""`siridb-fast load`: files into the database, with a bar, and so that it can go on after a stop.

What is read and sent is the library's business; this module starts it and prints what happened.
"""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import ExitStack, closing

import typer

from siridb_fast.cli.connect import Target, target_of
from siridb_fast.cli.errors import ExitCode, UsageFault, note, reason_of, warn
from siridb_fast.cli.load.allocators import keep_memory_small
from siridb_fast.cli.load.bar import LoadBar
from siridb_fast.cli.load.dialects import dialect_lines
from siridb_fast.cli.load.import_ahead import import_ahead
from siridb_fast.cli.load.manifest import open_manifest
from siridb_fast.cli.load.options import (
    CompareOption,
    DryRunOption,
    ManifestOption,
    MaxMemoryOption,
    PathsArgument,
    RestartOption,
    ResumeOption,
)
from siridb_fast.cli.load.reading import reads_files
from siridb_fast.cli.load.streams import is_stream, streams_as_files
from siridb_fast.cli.options import MaxRateOption, TimeoutOption, UrlOption
from siridb_fast.concurrency.loops import run
from siridb_fast.connection.cluster import Cluster
from siridb_fast.delivery.report import Report
from siridb_fast.errors import DeliveryError, SiriDBError
from siridb_fast.files.open import find_files
from siridb_fast.loading.database_id import DatabaseId
from siridb_fast.loading.file_locks import FileLocks
from siridb_fast.loading.file_source import FileSource
from siridb_fast.loading.loader import Loader
from siridb_fast.loading.options import LoadKeywords, LoadOptions
from siridb_fast.loading.resume import KnownFiles, Start
from siridb_fast.query.server_queries import ServerQueries

__all__ = ["load"]

MIB = 1024 * 1024
STARTS = ("--resume", "--compare", "--restart")
UNKNOWN = "not known from an earlier load"
CHANGED = "it was changed since it was loaded, or in part"
HAS_URL = re.compile(r"^(--url=|-u(?=.)).*", re.DOTALL)


@reads_files
def load(
    *,
    paths: PathsArgument,
    url: UrlOption = None,
    reading: LoadKeywords,
    resume: ResumeOption = False,
    compare: CompareOption = False,
    restart: RestartOption = False,
    manifest: ManifestOption = None,
    dry_run: DryRunOption = False,
    max_memory: MaxMemoryOption = 32,
    max_rate: MaxRateOption = None,
    timeout: TimeoutOption = None,
) -> None:
    """Load files into the database.

    What was delivered is noted (--manifest). After Ctrl+C, an error or a crash, the same command
    with --resume loads what is missing, and nothing twice.
    """
    keep_memory_small()
    if resume + compare + restart > 1:
        raise UsageFault("--resume, --compare and --restart exclude each other")
    if manifest is not None and any(map(is_stream, paths)):
        raise UsageFault("--manifest is for files; nothing is noted of a stream")
    sending: LoadKeywords = {"max_buffered": max_memory * MIB, "max_rate": max_rate}
    options = LoadOptions.of({**reading, **sending, "timeout": timeout})
    target = target_of(url, timeout)
    asked = {Start.RESUME: resume, Start.COMPARE: compare, Start.RESTART: restart}
    start = next((start for start, is_asked in asked.items() if is_asked), Start.FRESH)
    with streams_as_files(paths, options.format) as (files, folder):
        if dry_run:
            _survey(files, options, target)
            return
        # Of a copy nothing is noted that anybody could go on with.
        copies = None if folder is None else str(folder / "noted.sqlite")
        _load(files, options, target, start, copies or manifest)


def _survey(paths: list[str], options: LoadOptions, target: Target) -> None:
    source = FileSource(paths, options)
    with closing(LoadBar(source)) as bar:
        loader = Loader(target.config, options)
        survey = run(loader.survey(bar.watched(source)))
    from siridb_fast.cli.load.output import print_survey  # late, as the bar

    print_survey(survey, source)


def _load(
    paths: list[str], options: LoadOptions, target: Target, start: Start, manifest: str | None
) -> None:
    files = find_files(paths, options.format)
    import_ahead(files[0], options.format)
    with ExitStack() as stack:
        config = target.config
        database = DatabaseId.of(config.dbname, config.hosts, run(_servers_of(target)))
        # The locks come first: what the manifest says of a load that runs is not to be settled.
        stack.enter_context(FileLocks(files, database))
        noted = open_manifest(manifest, options, target, database)
        known = stack.enter_context(KnownFiles(files, noted, start))
        for file in known.done:
            note(f"{file}: loaded already")
        if not known.todo:
            return
        for files, why in ((known.unknown, UNKNOWN), (known.changed, CHANGED)):
            for file in files:
                note(f"{file}: {why}; the points that the database has are left out")
        for file in known.grown:
            note(f"{file}: it has grown since it was loaded; what was appended is loaded")
        source = FileSource(known.todo, options, known)
        bar = stack.enter_context(closing(LoadBar(source)))
        loader = Loader(target.config, bar.shown_in(options))
        try:
            report = run(loader.load(source, is_locked=True))
        except DeliveryError as exc:
            bar.close()
            if isinstance(exc.report, Report):
                _print_report(exc.report, source)
            warn(reason_of(exc))
            _note_how_to_go_on(known, loader, start)
            raise typer.Exit(ExitCode.INCOMPLETE) from None
        except (SiriDBError, OSError, KeyboardInterrupt, SystemExit) as exc:
            bar.close()
            for line in dialect_lines(source):
                note(line)
            for text in _notes(exc):
                note(text[0].upper() + text[1:])
            _note_how_to_go_on(known, loader, start)
            raise
        bar.close()
        _print_report(report, source)
        _warn_of_times(loader)
        if (
            not report.points
            and start not in (Start.RESUME, Start.COMPARE)
            and (report.rows or source.bad_lines)
        ):
            missing = "no point was loaded: all values are missing"
            warn(missing if report.rows else "no line was loaded: all were left out")
            raise typer.Exit(ExitCode.INCOMPLETE)


async def _servers_of(target: Target) -> list[str]:
    # That tell the database from another one of its name.
    cluster = Cluster(target.config)
    try:
        await cluster.open(target.connect_timeout)
        return await ServerQueries(cluster).servers()
    finally:
        cluster.close()
        await cluster.wait_closed()


def _print_report(report: Report, source: FileSource) -> None:
    from siridb_fast.cli.load.output import print_report  # late, as the bar

    print_report(report, source)


def _notes(exc: BaseException) -> list[str]:
    # Ctrl+C and SIGTERM are raised anew, behind the cancellation that has the notes.
    notes: list[str] = [*getattr(exc, "__notes__", ())]
    if not notes and exc.__context__ is not None:
        return _notes(exc.__context__)
    return notes


def _note_how_to_go_on(known: KnownFiles, loader: Loader, start: Start) -> None:
    # What stores every point once. Of a load that has sent nothing it is the load again.
    _warn_of_times(loader)
    if not loader.has_stored:
        known.note_nothing_stored()
    if known.has_begun or start in (Start.RESUME, Start.COMPARE):
        note(_command("--resume"))
    elif start is Start.RESTART:
        note("Nothing was stored anew, and what was delivered before is still noted.")
        note(_command("--restart"))


def _warn_of_times(loader: Loader) -> None:
    if loader.times_warning is not None:
        warn(loader.times_warning)


def _command(option: str) -> str:
    command, *arguments = sys.argv[1:]
    repeated = [argument for argument in arguments if argument not in STARTS]
    shown = ["siridb-fast", command, option, *_without_url(repeated)]
    return f"Go on with: {shlex.join(shown)}"


def _without_url(arguments: list[str]) -> list[str]:
    # It has a password.
    shown = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before in ("--url", "-u"):
            shown.append("…")
        else:
            shown.append(HAS_URL.sub(r"\1…", argument))
    return shown
