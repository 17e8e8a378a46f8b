"""``[mqtt]`` and ``[[mqtt.topics]]`` of the file → what the door of MQTT is to be.

Every error names the key, what was expected and what came; never a URL, which has a password.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from siridb_fast.errors import ConfigError
from siridb_fast.gateway.mqtt_config import BrokerTls, MqttConfig, TopicConfig
from siridb_fast.gateway.mqtt_topics import TopicFilter
from siridb_fast.gateway.naming import SeriesTemplate
from siridb_fast.gateway.secret import Secret
from siridb_fast.gateway.table import Table
from siridb_fast.gateway.times import UNITS

__all__ = ["mqtt_of"]

PORTS = {"mqtt": 1883, "mqtts": 8883}
CLIENT_ID = "siridb-fast-gateway"
LONGEST_CLIENT_ID = 65_535  # bytes
FORM = "mqtt://user:password@host:port, or mqtts://…"
OF_JSON = ("time", "time_zone", "tags", "texts")
LINE_OR_SKIP = ("line", "skip")


def mqtt_of(table: Table, series: str) -> MqttConfig:
    """Read the table; ``series`` is the template where a topic has none of its own."""
    url = _url(table)
    series = str(table.text("series", series))
    username, password = _user(table, url)
    config = MqttConfig(
        host=str(url.hostname),
        port=url.port or PORTS[url.scheme],
        client_id=_client_id(table),
        version=cast(Any, table.choice("version", "3.1.1", ("3.1.1", "5"))),
        topics=tuple(_topic(one, series) for one in table.tables("topics")),
        username=username,
        password=password,
        tls=_tls(table, url.scheme),
        forgotten=_forgotten(table),
        keepalive=table.integer("keepalive", 60, 5, 65_535),
    )
    table.finish()
    if not config.topics:
        raise table.error("topics", "expected [[mqtt.topics]] with a filter each, got none")
    asked = config.subscriptions
    if not asked:
        raise table.error("topics", "all of them are skipped")
    if twice := {one for one in asked if asked.count(one) > 1}:
        raise table.error("topics", f"two filters are {min(twice)!r} for the broker")
    return config


def _url(table: Table) -> SplitResult:
    text = table.text("url")
    if text is None:
        raise table.error("url", f"expected {FORM}, got nothing")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise table.error("url", f"expected {FORM}") from None
    if url.scheme not in PORTS or not url.hostname or url.path.strip("/") or url.query:
        raise table.error("url", f"expected {FORM}")
    if port == 0:
        raise table.error("url", "expected a port from 1 to 65,535, got 0")
    return url


def _user(table: Table, url: SplitResult) -> tuple[str | None, Secret | None]:
    username, password = table.text("username"), table.secret("password")
    if url.username:
        if username is not None:
            raise table.error("username", "the URL says one; one of them is enough")
        username = unquote(url.username)
    if url.password:
        if password is not None:
            raise table.error("password", "the URL has one; one of them is enough")
        password = Secret(unquote(url.password))
    if password is not None and username is None:
        raise table.error("username", "a password needs a username")
    return username, password


def _forgotten(table: Table) -> tuple[str, ...]:
    found = table.texts("unsubscribe")
    try:
        return tuple(TopicFilter.of(one).subscription for one in found)
    except ConfigError as exc:
        raise table.error("unsubscribe", str(exc)) from None


def _client_id(table: Table) -> str:
    text = str(table.text("client_id", CLIENT_ID))
    if not 0 < len(text.encode()) <= LONGEST_CLIENT_ID or "\0" in text:
        raise table.error("client_id", "expected a text by which the broker knows the gateway")
    return text


def _tls(table: Table, scheme: str) -> BrokerTls | None:
    tls = BrokerTls(
        ca=table.path("tls_ca"),
        certificate=table.path("tls_certificate"),
        key=table.path("tls_key"),
    )
    if scheme == "mqtts":
        if tls.key is not None and tls.certificate is None:
            raise table.error("tls_certificate", "expected a path, as there is tls_key")
        tls.context()
        return tls
    for name, path in (("ca", tls.ca), ("certificate", tls.certificate), ("key", tls.key)):
        if path is not None:
            raise table.error(f"tls_{name}", "it needs a url that begins with mqtts://")
    return None


def _topic(table: Table, series: str) -> TopicConfig:
    series = str(table.text("series", series))
    payload = cast(Any, table.choice("payload", "number", ("number", "json", "line", "skip")))
    topic = TopicConfig(
        filter=_filter(table, series, payload),
        payload=payload,
        series=_template(table, series, payload),
        time=_time(table),
        unit=table.choice("precision", None, [*UNITS]),
        zone=_zone(table),
        tags=_tags(table),
        words=_words(table),
        texts=cast(Any, table.choice("texts", "skip", ("skip", "store", "number"))),
        retained=cast(Any, table.choice("retained", "with_time", ("with_time", "all", "none"))),
    )
    for name in OF_JSON:
        if name in table.found and payload != "json":
            raise table.error(name, 'it needs payload = "json"')
    if payload in LINE_OR_SKIP and topic.words:
        raise table.error("words", 'it needs payload = "json" or "number"')
    if payload in ("number", "skip") and topic.unit is not None:
        raise table.error("precision", 'it needs payload = "json" or "line"')
    table.finish()
    return topic


def _filter(table: Table, series: str, payload: str) -> TopicFilter:
    text = table.text("filter")
    if text is None:
        raise table.error("filter", 'expected a text such as "plant/{measurement}/{field}"')
    try:
        found = TopicFilter.of(text, names_topic="{topic}" in series)
    except ConfigError as exc:
        raise table.error("filter", str(exc)) from None
    if payload in LINE_OR_SKIP and found.fields:
        raise table.error("filter", f"payload {payload} has no use for names: write + and #")
    return found


def _template(table: Table, series: str, payload: str) -> str:
    try:
        SeriesTemplate(series, "influx" if payload == "line" else "mqtt")
    except ConfigError as exc:
        raise table.error("series", str(exc)) from None
    return series


def _time(table: Table) -> str:
    text = str(table.text("time", "timestamp"))
    if not text:
        raise table.error("time", "expected the name of what says the time, got nothing")
    return text


def _zone(table: Table) -> ZoneInfo | None:
    text = table.text("time_zone")
    if text is None:
        return None
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise table.error("time_zone", f'expected one as "Europe/Berlin", got {text!r}') from None


def _tags(table: Table) -> tuple[str, ...]:
    found = table.texts("tags")
    if "" in found:
        raise table.error("tags", "expected names in the JSON, got an empty one")
    return tuple(found)


def _words(table: Table) -> dict[str, int | float]:
    words = table.table("words")
    if words is None:
        return {}
    for name, value in words.found.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0:
            raise words.error(name, f"expected a number, got {value!r}")
    return dict(words.found)
