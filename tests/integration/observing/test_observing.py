"""One purchase as an operator sees it: its lines, its trace, its metrics, and what they page on."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import yaml

from tests.support.collector import Seen
from tests.support.observed import Observed
from tests.support.rigs import eventually
from tests.support.selling import a_link
from tests.support.shops import FLINT, STOP_SECONDS, Shop, free_port

DEPLOY: Final = Path(__file__).parents[3] / "deploy"
PARENT: Final = "00f067aa0ba902b7"
SECONDS: Final = 40.0
# What a process says about itself, outside of any request or message.
OUTSIDE: Final = frozenset(
    {
        "broker.connected", "broker.lost", "broker.unreachable", "clock.corrected",
        "clock.disagrees", "consumer.not_started", "database.behind", "database.unreachable",
        "gateway.listening", "gauges.postponed", "internal.listening", "loop.blocked",
        "process.serving", "process.stopped", "process.stopping", "service.drained",
    }
)  # fmt: skip
# A purchase through a link with a cap: who handles what on the way.
WALK: Final = frozenset(
    {
        ("links", "link.resolved"), ("sessions", "link.resolved"), ("orders", "link.resolved"),
        ("orders", "orders.pay"), ("orders", "payments.authorize"), ("orders", "charge.settled"),
        ("links", "links.claim"), ("orders", "claim.settled"), ("orders", "payments.capture"),
        ("sessions", "order.paid"), ("links", "order.paid"), ("gateway", "order.paid"),
    }
) - {("links", "link.resolved")}  # fmt: skip


@pytest.fixture(scope="session")
async def paid(observed: Observed) -> tuple[str, str]:
    """The trace and the checkout session of a purchase that used every step there is."""
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    link = await a_link(observed.shop, max_completions=5, customer={"require_email": True})
    session_id = await observed.purchase(link["url"], f"00-{trace_id}-{PARENT}-01")
    await observed.shop.audit()
    return trace_id, session_id


def handled(lines: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(one["service"], one["topic"]) for one in lines if one["event"] == "message.handled"}


async def test_every_line_within_a_request_or_message_bears_its_ids(
    observed: Observed, paid: tuple[str, str]
):
    lines = observed.all_lines()

    assert len(lines) > 30
    assert all({"service", "instance", "event", "level", "timestamp"} <= set(one) for one in lines)
    inside = [one for one in lines if one["event"] not in OUTSIDE]
    assert [one for one in inside if not (one.get("request_id") and one.get("trace_id"))] == []


async def test_the_lines_of_a_checkout_are_found_by_its_id(
    observed: Observed, paid: tuple[str, str]
):
    trace_id, session_id = paid

    async def walked() -> bool:
        found = [
            one for one in observed.all_lines() if one.get("checkout_session_id") == session_id
        ]
        return handled(found) >= WALK

    await eventually(walked, SECONDS)
    found = [one for one in observed.all_lines() if one.get("checkout_session_id") == session_id]
    assert {one["trace_id"] for one in found if one["event"] != "http.request"} >= {trace_id}
    routes = {one["route"] for one in found if one["event"] == "http.request"}
    assert {"/c/{checkout_session_id}", "/c/{checkout_session_id}/pay"} <= routes


def unconnected(spans: list[Seen]) -> list[str]:
    known = {span.span_id for span in spans} | {PARENT}
    return [span.name for span in spans if span.parent_id not in known]


async def test_one_purchase_is_one_trace_from_http_through_messages_to_sql(
    observed: Observed, paid: tuple[str, str]
):
    trace_id, _ = paid
    wanted = {
        "POST /c/{checkout_session_id}/pay", "ask sessions.pay", "handle sessions.pay",
        "publish orders.pay", "handle orders.pay", "publish payments.authorize",
        "handle payments.authorize", "payments.authorize", "publish links.claim",
        "handle links.claim", "handle claim.settled", "handle payments.capture",
        "handle order.paid", "transaction", "SQL COMMIT;", "SQL SELECT", "SQL UPDATE",
    }  # fmt: skip

    async def arrived() -> bool:
        spans = observed.collector.of(trace_id)
        return {span.name for span in spans} >= wanted and not unconnected(spans)

    await eventually(arrived, SECONDS)
    spans = observed.collector.of(trace_id)
    services = {span.service for span in spans}
    apart = {"flint-links", "flint-sessions", "flint-orders", "flint-gateway"}
    assert services == ({"flint-run"} if observed.shop.kind == "local" else apart)
    by_id = {span.span_id: span for span in spans}
    claim = next(span for span in spans if span.name == "handle links.claim")
    assert by_id[claim.parent_id].name == "publish links.claim"
    sql = next(s for s in spans if "INSERT INTO outbox" in s.attributes.get("db.query.text", ""))
    assert by_id[sql.parent_id].name in ("transaction", *(f"handle {t}" for _, t in WALK))


def named(text: str) -> set[str]:
    return set(re.findall(r"\b((?:flint|process)_[a-z_]+)\b", text))


def exposed(scrape: str) -> set[str]:
    samples = re.findall(r"^([a-z_]+)(?:\{| )", scrape, re.MULTILINE)
    return set(samples)


async def test_a_scrape_says_what_happened_and_names_nobody(
    observed: Observed, paid: tuple[str, str]
):
    _, session_id = paid

    async def measured() -> bool:
        scrape = await observed.scrapes()
        return all(
            re.search(rf'flint_consumers\{{room="{room}"\}} [1-9]', scrape) for room in ROOMS
        )

    await eventually(measured, SECONDS)
    scrape = await observed.scrapes()
    assert 'flint_events_total{room="orders",topic="payment_intent.succeeded"} 1.0' in scrape
    assert 'provider_calls_total{call="capture",outcome="succeeded",provider="sandbox"}' in scrape
    assert 'flint_messages_total{fate="ack",room="links",topic="links.claim"} 1.0' in scrape
    assert re.search(r'flint_http_requests_total\{method="POST",route="/c/\{check', scrape)
    assert session_id not in scrape
    assert not re.search(r"\b[a-z]{2,4}_[0-9A-HJKMNP-TV-Z]{26}\b|@|mer_", scrape)


ROOMS: Final = ("links", "sessions", "orders", "gateway")


@asynccontextmanager
async def auditing(shop: Shop, log: Path) -> AsyncIterator[str]:
    """The audit as a process of its own; the address of its metrics."""
    port = free_port()
    env = shop.env | {"FLINT_INTERNAL_PORT": str(port)}
    argv = [FLINT, "audit", "--every-seconds", "1", "--wait-seconds", "20"]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=env, stdout=output, stderr=output)
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, STOP_SECONDS)
    assert code == 0, log.read_text()


async def scraped(url: str) -> str:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as answer:
            return await answer.text()
    except aiohttp.ClientConnectionError:
        return ""


async def test_what_pages_and_what_is_drawn_exists_in_a_real_scrape(
    observed: Observed, paid: tuple[str, str], tmp_path: Path
):
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    drawn = [target["expr"] for panel in panels for target in panel["targets"]]

    wanted = named(" ".join([*(rule["expr"] for rule in rules), *drawn]))
    if observed.shop.kind == "local":  # without a broker there is nothing to be up
        wanted -= {"flint_broker_up", "flint_queue_messages"}

    async def are_there() -> bool:  # audits' own apart, which are looked at below
        missing = wanted - exposed(await observed.scrapes())
        return all(name.startswith("flint_audit") for name in missing)

    await eventually(are_there, SECONDS)
    scrape = await observed.scrapes()
    async with auditing(observed.shop, tmp_path / "audit.log") as url:

        async def audited() -> bool:
            return "flint_audited_timestamp_seconds 1" in await scraped(url)

        await eventually(audited, SECONDS)
        scrape += await scraped(url)

    assert "flint_audit_breaches 0.0" in scrape
    there = exposed(scrape)
    assert len(wanted) > 20
    assert wanted - there == set()


def test_every_alert_says_what_it_means_and_what_to_do():
    alerts = yaml.safe_load((DEPLOY / "alerts.yml").read_text())
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]

    assert len({rule["alert"] for rule in rules}) == len(rules) > 15
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook"].endswith(".")


def test_the_configuration_of_prometheus_and_grafana_is_yaml_that_names_our_files():
    prometheus = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    source = yaml.safe_load((DEPLOY / "grafana" / "datasource.yml").read_text())
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())

    assert prometheus["rule_files"] == ["/etc/prometheus/alerts.yml"]
    uid = source["datasources"][0]["uid"]
    uids = {panel["datasource"]["uid"] for panel in dashboard["panels"] if "datasource" in panel}
    assert uids == {uid}
