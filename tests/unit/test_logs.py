"""No secret reaches a log: canaries of every kind, by every way in. And P18: whose word counts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest

from shared.redaction import MASK, clean, redact

# Made up, and each of the shape that has to be recognised.
CARD = "4242424242424242"
CANARIES = {
    "card": CARD,
    "card in groups": "4242 4242 4242 4242",
    "card with dashes": "5555-5555-5555-4444",
    "card of 15 digits": "378282246310005",
    "card of 19 digits": "6205500000000000004",
    "API key": "flint_test_0123456789abcdef0123456789abcdef",
    "live API key": "flint_live_0123456789abcdef0123456789abcdef",
    "webhook secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "bearer": "Bearer abc.def-ghi_jkl",
    "basic": "Basic Z3Vlc3Q6Z3Vlc3Q=",
    "e-mail": "ada.lovelace+pay@mail.example.com",
    "telephone": "+1 (500) 555-0199",
    "telephone as stored": "+15005550199",
}
SECRET_KEYS = [
    "card", "card_number", "pan", "cvc", "token", "payment_source_token", "secret", "client_secret",
    "password", "Authorization", "cookie", "api_key", "email", "customer_email", "phone_number",
    "billing_address", "dsn", "links_database_url", "amqp_url",
]  # fmt: skip
URL = "amqp://orders:canary-password@broker:5672/flint"


@dataclass
class Buyer:
    """Something that a renderer would write out by itself."""

    name: str


def logged(**fields: Any) -> str:
    """What the renderer would get, as text."""
    return json.dumps(redact(None, "", {"event": "x.y", **fields}), default=str)


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)
@pytest.mark.parametrize("shape", [
    lambda canary: canary,
    lambda canary: f"before {canary} after",
    lambda canary: f"line one\n{canary}\n",
    lambda canary: {"deep": [{"note": canary}]},
    lambda canary: (canary, "x"),
    lambda canary: {canary},
    lambda canary: canary.encode(),
    lambda canary: ValueError(f"bad value {canary}"),
    Buyer,
], ids=["text", "within", "lines", "deep", "tuple", "set", "bytes", "error", "object"])  # fmt: skip
def test_a_canary_is_masked_whatever_carries_it(canary: str, shape: Any):
    line = logged(note=shape(canary))

    assert canary not in line
    assert MASK in line


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_what_a_secret_key_holds_is_masked_at_any_depth(key: str):
    line = logged(**{key: "canary"}, deep={"list": [{key: "canary"}], key: {"x": "canary"}})

    assert "canary" not in line
    assert line.count(MASK) == 3


def test_a_password_within_an_address_is_masked():
    assert "canary-password" not in logged(reason=f"cannot connect to {URL}")


def test_a_card_number_as_a_number_is_masked():
    assert CARD not in logged(amount=int(CARD), deep=[int(CARD)])


def test_what_postgresql_echoes_of_a_row_is_masked():
    echo = "duplicate key\nDETAIL:  Key (name)=(Ada Lovelace) already exists.\nHINT: none"

    line = logged(exception=echo)

    assert "Ada" not in line
    assert "HINT: none" in line


def test_a_card_number_among_other_numbers_is_masked():
    line = clean("paid 12 4242 4242 4242 4242 5555-5555-5555-4444 2026-11-24 7391")

    assert line == f"paid 12 {MASK} {MASK} 2026-11-24 7391"


def test_what_is_no_secret_stays_as_it_is():
    fields = {
        "took_ms": 1.5, "amount_minor": 9_999_999_999, "order_id": "ord_01JZZZZZZZZZZZZZZZZZZZZZZA",
        "reason": "no queue is bound to toy.lost", "is_replayed": True, "nothing": None,
        "public_url": "https://pay.example.com", "number": "1234567890123456",
    }  # fmt: skip

    assert redact(None, "", dict(fields)) == fields


def test_an_escape_cannot_reach_a_terminal():
    assert "\x1b" not in clean("\x1b[2Jcleared")


PROGRAM = """
import asyncio, logging, warnings
from shared import logs
logs.configure(level="info", is_json={is_json}, service="orders")
import structlog
from shared.telemetry import scope
log = structlog.get_logger("flint.test")
log.info("order.paid", reason="first\\nsecond", email="canary@example.com")
log.debug("never.shown")
with scope.within(scope.Scope("req_1", "00-" + 16 * "ab" + "-" + 8 * "cd" + "-01", "links")):
    try:
        int("card 4242424242424242, cvc 7391")
    except ValueError:
        log.exception("charge.failed")
        logging.getLogger("asyncio").error("Task failed for canary@example.com", exc_info=True)
for noisy in ("aio_pika.connection", "aiormq.connection"):
    logging.getLogger(noisy).error("Callback closed: means nothing")
warnings.warn("of canary@example.com")

async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.on_loop_error)
    loop.call_soon(int, "+1 500 555 0199")
    await asyncio.sleep(0)
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())

async def fail():
    raise KeyError("Ada Lovelace, canary@example.com")

asyncio.run(main())
"""


def run(*, is_json: bool) -> str:
    program = PROGRAM.format(is_json=is_json)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_every_line_is_one_json_object_without_secrets_also_from_libraries_and_crashes():
    """P18: what aio_pika calls an error at each reconnect is not ours to be alarmed by."""
    output = run(is_json=True)

    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["event"].split("\n")[0].split(":")[0] for line in lines] == [
        "order.paid", "charge.failed", f"Task failed for {MASK}", "<string>", "loop.error",
        "process.crashed",
    ]  # fmt: skip
    assert [line["level"] for line in lines] == [
        "info", "error", "error", "warning", "error", "critical",
    ]  # fmt: skip
    assert all("timestamp" in line and "instance" in line for line in lines)
    assert lines[0]["reason"] == "first\nsecond"
    assert "canary@" not in output
    said = re.sub(r'"timestamp":"[^"]*"', "", output)  # which may be any digits
    for secret in (CARD, "7391", "555"):
        assert secret not in said


def test_an_error_is_its_kind_and_its_place_and_never_the_value_it_choked_on():
    lines = [json.loads(line) for line in run(is_json=True).splitlines()]

    failed = lines[1]
    assert failed["error"] == "ValueError: invalid literal for int() with base 10: '…'"
    assert failed["frames"] == ["<string>:12 <module>"]
    assert lines[-1]["error"] == "KeyError: '…'"


def test_a_line_within_a_message_bears_its_ids_and_its_rooms_name():
    lines = [json.loads(line) for line in run(is_json=True).splitlines()]

    outside, inside = lines[0], lines[1:3]
    assert "request_id" not in outside
    assert outside["service"] == "orders"
    for line in inside:
        assert line["request_id"] == "req_1"
        assert line["trace_id"] == 16 * "ab"
        assert line["service"] == "links"


def test_a_terminal_gets_no_secrets_either():
    output = run(is_json=False)

    assert "order.paid" in output
    assert "Callback" not in output
    assert CARD not in output
    assert "canary@" not in output


@pytest.mark.parametrize("piece", ["x", "1", "a.", "://a:", "+1 ", "a@", "@a.", "Basic "])
def test_a_long_text_is_cleaned_in_no_time(piece: str):
    """An unbounded pattern takes minutes for the megabyte that a stranger may send."""
    started = time.perf_counter()

    clean(piece * (65_536 // len(piece)))

    assert time.perf_counter() - started < 1.0
