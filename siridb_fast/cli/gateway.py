"""`siridb-fast gateway`: other protocols in, SiriDB out, until it is told to end.

Rule: stderr has one line for each door that is open, and no secret.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from siridb_fast.cli.errors import ExitCode, UsageFault, note, warn
from siridb_fast.cli.options import UrlOption
from siridb_fast.concurrency.loops import run
from siridb_fast.connection.config import describe
from siridb_fast.delivery.report import Report
from siridb_fast.gateway.config import GatewayConfig
from siridb_fast.gateway.config_file import config_from, read_gateway_config
from siridb_fast.gateway.figures import DoorFigures
from siridb_fast.gateway.gateway import Gateway
from siridb_fast.gateway.mqtt_config import MqttConfig

__all__ = ["gateway"]

LISTEN_HELP = "Take {} here: HOST:PORT, or a port of 127.0.0.1."


def gateway(
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="A TOML file with all options."),
    ] = None,
    url: UrlOption = None,
    listen_influx: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help=LISTEN_HELP.format("InfluxDB's HTTP"))
    ] = None,
    listen_graphite: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help=LISTEN_HELP.format("Graphite lines"))
    ] = None,
    stdin: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Take lines of standard input, and end with them: influx, graphite or ndjson.",
        ),
    ] = None,
    acknowledge: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="When a sender is told that points are taken: accepted (they are in memory), "
            "journaled (on disk), or delivered (the database has them).",
        ),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where points are on disk until delivered.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what would run, and end; 2 if there is a mistake.")
    ] = False,
) -> None:
    """Take points in other protocols: InfluxDB, Prometheus, Graphite, MQTT, lines of JSON.

    Whatever writes to InfluxDB, Prometheus' remote write or Graphite writes to SiriDB through it:
    Telegraf, Home Assistant, collectd, the client libraries. SIGTERM or Ctrl+C ends it, once what
    it has taken is delivered.
    """
    more = _more(url, listen_influx, listen_graphite, stdin, acknowledge, journal)
    found = read_gateway_config(config, more) if config else config_from(more, Path.cwd())
    if check:
        _show(found)
        return
    _log_to_stderr()
    try:
        report = run(_run(found))
    except ImportError as exc:
        raise UsageFault(str(exc)) from None
    if not report.is_complete:
        warn(str(report))
        raise typer.Exit(ExitCode.INCOMPLETE)


def _more(
    url: str | None,
    influx: str | None,
    graphite: str | None,
    stdin: str | None,
    acknowledge: str | None,
    journal: Path | None,
) -> dict[str, Any]:
    # The keys of a file that options stand for.
    given: dict[str, Any] = {
        "url": url,
        "influx": influx and {"listen": influx},
        "graphite": graphite and {"listen": graphite},
        "stdin": stdin,
        "acknowledge": acknowledge,
        "journal": journal and str(journal.absolute()),
    }
    return {name: value for name, value in given.items() if value is not None}


async def _run(config: GatewayConfig) -> Report:
    made = Gateway(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, made.stop)
    return await made.run(_announce)


def _announce(doors: Sequence[DoorFigures]) -> None:
    for door in doors:
        note(f"{door.name} at {door.place}")


def _show(config: GatewayConfig) -> None:
    print(f"into {describe(config.target)}")
    for one in config.databases:
        print(f"of the name {', '.join(map(repr, one.names))} into {describe(one.target)}")
    print(f"acknowledged once {config.acknowledge}; at most {config.drain_timeout:g} s to end")
    for door in config.doors:
        asks = "; asks who you are" if door.credentials.are_asked else ""
        tls = "; TLS" if door.tls is not None else ""
        if door.mqtt is not None:
            _show_mqtt(door.mqtt)
            continue
        print(f"{door.name} at {door.place}, series {door.series}{asks}{tls}")
    for rule in config.rules:
        does = [
            f"renamed {rule.rename!r}" if rule.rename is not None else "",
            "dropped" if rule.drop else "",
            "allowed" if rule.allow else "",
            f"of type {rule.type}" if rule.type is not None else "",
        ]
        print(f"series {rule.match!r}: {', '.join(filter(None, does))}")
    print(f"refused lines: {config.bad_lines or 'counted, and not kept'}")


def _show_mqtt(config: MqttConfig) -> None:
    user = "" if config.username is None else f" as {config.username!r}"
    print(
        f"mqtt at {config.place}{user}, version {config.version}, client_id {config.client_id!r}"
    )
    for topic in config.topics:
        print(
            f"mqtt topics {topic.filter.subscription!r}: payload {topic.payload}, "
            f"series {topic.series}, retained {topic.retained}"
        )


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger = logging.getLogger("siridb_fast")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
