"""Rules that no test of behaviour can hold: what our sources may not say. Each names its cure.

| rule | what is refused |
|---|---|
| P2 P10 | callbacks for returned messages: only the publish's own exception counts |
| P4 | a publish, declare, bind, consume, get or cancel without `timeout=` |
| P8 P16 | `message.process()`, `queue.iterator()`, `nack` |
| P11 P12 P17 P18 | `connect_robust`; a queue's arguments other than its type |
| P19 | `aio_pika.patterns` (it speaks pickle), pickle itself |
| P20 | a broker's callback that waits |
| P16 D7 | other versions, other drivers, other doors to the database |
| D2 D3 | acquiring without a bound; acquiring while holding |
| D8 | `select *` |
| D9 D10 | LISTEN and NOTIFY |
| D11 | a text without the pattern that refuses NUL |
| D14 | `synchronous_commit` |
| style | long functions and files, words that say nothing, impure domains |
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.contracts.types import text
from tests.support.sources import (
    MIGRATIONS,
    ROOT,
    SOURCES,
    TESTS,
    Finding,
    Function,
    calls,
    check,
    functions,
    imports,
    keywords,
    name_of,
    nodes,
    receiver_of,
    speaks_amqp,
    texts,
    tree_of,
)

PURE: Final = ("domain.py", "donations.py", "modes.py", "pricing.py")
LINES_OF_A_FUNCTION: Final = 50
LINES_OF_A_FILE: Final = 400
NOTHING_SAID: Final = {"manager", "helper", "helpers", "util", "utils", "impl", "dto"}
NOTHING_SAID_BY_A_TYPE: Final = NOTHING_SAID | {"data", "info"}


def test_there_are_sources_to_look_at():
    assert len(SOURCES) > 30
    assert len(MIGRATIONS) > 2


# The broker.

WAITS: Final = {
    "publish", "declare_queue", "declare_exchange", "bind", "unbind", "consume", "set_qos",
    "initialize", "purge", "queue_delete", "get",
    "basic_publish", "basic_consume", "basic_cancel", "basic_qos", "basic_get",
    "queue_declare", "exchange_declare",
}  # fmt: skip
QUEUE_CALLS: Final = ("declare_queue", "queue_declare")
DECLARATIONS: Final = (*QUEUE_CALLS, "declare_exchange", "exchange_declare")
NEVER: Final = {
    "connect_robust": "our own Line tells the truth about being up (P11, P12, P17, P18)",
    "iterator": "callback consumers: an iterator buffers, and nacks what it holds (P16)",
    "process": "explicit fates: `process()` dead-letters what a shutdown cancels (P8)",
    "basic_nack": "publish to a delay queue and acknowledge: see nack",
    "nack": "publish to a delay queue and acknowledge: nack loops uncounted on 4.3 (a2)",
    "return_callbacks": "the publish's exception: callbacks are lost on reconnect (P10)",
    "add_on_return_callback": "the publish's exception: callbacks are lost on reconnect (P10)",
}


def never(path: Path) -> Iterator[Finding]:
    if not speaks_amqp(path):
        return
    for node in nodes(path, ast.Attribute, ast.Name):
        word = name_of(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        if word in NEVER and isinstance(node, ast.Attribute | ast.Name):
            yield node.lineno, f"{word}: {NEVER[word]}"


def test_the_broker_is_used_without_the_calls_that_lose_messages():
    check(never, SOURCES, "Use instead:")


def unbounded(path: Path) -> Iterator[Finding]:
    if not speaks_amqp(path):
        return
    for call in calls(path):
        word = name_of(call.func)
        if not isinstance(call.func, ast.Attribute) or receiver_of(call) in ("self", "headers"):
            continue
        is_mapping = word == "get" and not {"fail", "no_ack", "timeout"} & keywords(call)
        is_tasks = word == "cancel" and not call.args
        waits = (word in WAITS and not is_mapping) or (word == "cancel" and not is_tasks)
        if waits and "timeout" not in keywords(call):
            yield call.lineno, ast.unparse(call)[:80]


def test_every_wait_for_the_broker_has_a_timeout():
    """P4: an alarm, or a frozen node, would hold it for ever."""
    check(unbounded, SOURCES, "Pass timeout=:")


def arguments_other_than_the_type(path: Path) -> Iterator[Finding]:
    for call in calls(path):
        for keyword in call.keywords if name_of(call.func) in QUEUE_CALLS else ():
            if keyword.arg != "arguments":
                continue
            keys = keyword.value.keys if isinstance(keyword.value, ast.Dict) else []
            if [key.value for key in keys if isinstance(key, ast.Constant)] != ["x-queue-type"]:
                yield call.lineno, ast.unparse(keyword)


def test_a_queues_only_argument_is_its_type():
    """P11: arguments cannot change without deleting the queue."""
    check(arguments_other_than_the_type, SOURCES, "Put it into the policy (bus/topology.py):")


def active_declarations(path: Path) -> Iterator[Finding]:
    for call in calls(path):
        word = name_of(call.func)
        if word in DECLARATIONS and "passive" not in keywords(call):
            yield call.lineno, ast.unparse(call)[:80]


def test_only_the_topology_job_declares():
    """P11: services look whether it is there, and nothing more; the doctor tries if they may."""
    others = [path for path in SOURCES if path.name not in ("declare.py", "inspection.py")]
    check(active_declarations, others, "passive=True, or bus/declare.py:")


def broker_callbacks(path: Path) -> Iterator[Finding]:
    """Functions given to the client's callbacks, and consumers of replies, that await."""
    names = {
        name_of(call.args[0])
        for call in calls(path)
        if name_of(call.func) == "add" and receiver_of(call).endswith("callbacks")
    }
    names |= {
        name_of(call.args[0])
        for call in calls(path)
        if name_of(call.func) == "consume" and "no_ack" in keywords(call)
    }
    for function in functions(path):
        waits = any(isinstance(node, ast.Await) for node in ast.walk(function))
        if function.name in names and waits:
            yield function.lineno, function.name


def test_no_callback_of_the_broker_waits():
    """P20: one stuck callback stops the whole connection's reader."""
    check(broker_callbacks, SOURCES, "Set an event and return:")
    line = ROOT / "shared/bus/line.py"
    assert any(receiver_of(call) == "close_callbacks" for call in calls(line))


def pickled(path: Path) -> Iterator[Finding]:
    for line, name in imports(path):
        if name.startswith("aio_pika.patterns") or name.split(".")[0] in ("pickle", "marshal"):
            yield line, name


def test_nothing_is_unpickled():
    """P19: it is code execution for anyone who can publish."""
    check(pickled, SOURCES, "JSON, and bus/rpc.py:")


@pytest.mark.parametrize("package, floor", [
    ("aio-pika", ">=10.2.1"), ("aiormq", ">=7.2.4"), ("asyncpg", ">=0.32"),
])  # fmt: skip
def test_drivers_are_the_versions_these_rules_were_found_with(package: str, floor: str):
    """P16: older ones lose consumers; a new major version needs the rules looked at again."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    (pin,) = [one for one in project["dependencies"] if re.match(rf"{package}\b", one)]

    assert floor in pin
    assert "<" in pin


# The database.


def doors(path: Path) -> Iterator[Finding]:
    for call in calls(path):
        if receiver_of(call) == "asyncpg" and name_of(call.func) in ("connect", "create_pool"):
            yield call.lineno, ast.unparse(call)[:60]


def test_connections_are_opened_in_one_place():
    """D1, D7, D14: with bounds, direct, and with nothing traded for speed."""
    others = [path for path in SOURCES if path.parent != ROOT / "shared/db"]
    check(doors, others, "open_pool of shared/db/pool.py:")


def unbounded_acquires(path: Path) -> Iterator[Finding]:
    direct = {"acquire", "execute", "executemany", "fetch", "fetchrow", "fetchval", "copy_to_table"}
    is_audit = path.parent == ROOT / "services/audit"  # its pools bear their services' names
    for call in calls(path):
        receiver, is_call = receiver_of(call), isinstance(call.func, ast.Attribute)
        is_pool = receiver.endswith("pool") or (is_audit and is_call and receiver != "db")
        if not is_pool or name_of(call.func) not in direct:
            continue
        if name_of(call.func) != "acquire" or "timeout" not in keywords(call):
            yield call.lineno, ast.unparse(call)[:80]


def test_every_acquire_has_a_timeout():
    """D2: the pool's own shortcuts wait for ever for a connection."""
    check(unbounded_acquires, SOURCES, "`connection(pool)`, `transaction(pool)`, `fetch(pool, …)`:")


def nested_acquires(path: Path) -> Iterator[Finding]:
    for node in nodes(path, ast.AsyncWith):
        if not isinstance(node, ast.AsyncWith) or not any(map(acquires, node.items)):
            continue
        inner = [call for part in node.body for call in ast.walk(part) if is_acquire(call)]
        yield from (
            (call.lineno, ast.unparse(call)) for call in inner if isinstance(call, ast.Call)
        )
        if sum(map(acquires, node.items)) > 1:
            yield node.lineno, "two in one `with`"


def acquires(item: ast.withitem) -> bool:
    return is_acquire(item.context_expr)


def is_acquire(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and (
        name_of(node.func) in ("connection", "transaction", "acquire")
        and any("pool" in ast.unparse(part) for part in (node.func, *node.args))
    )


def test_who_holds_a_connection_acquires_no_other():
    """D3: as many callers as connections, and all of them wait for ever."""
    check(nested_acquires, SOURCES, "Pass the connection down:")


def stars(path: Path) -> Iterator[Finding]:
    star = re.compile(r"\bselect\s+(\w+\.)?\*(?!\s+from\s+unnest\b)", re.IGNORECASE)
    for line, written in texts(path):
        if star.search(written):
            yield line, " ".join(written.split())[:80]


def test_columns_are_named():
    """D8: a migration under a running service invalidates `select *` first."""
    check(stars, [*SOURCES, *MIGRATIONS], "Name the columns:")


def listens(path: Path) -> Iterator[Finding]:
    words = re.compile(r"^\s*(UN)?LISTEN\s+\w+|^\s*NOTIFY\s+\w+|\bpg_notify\s*\(", re.MULTILINE)
    for line, written in texts(path):
        if words.search(written):
            yield line, " ".join(written.split())[:80]
    if path.suffix == ".py":
        yield from (
            (call.lineno, "add_listener")
            for call in calls(path)
            if name_of(call.func) == "add_listener"
        )


def test_nobody_listens_or_notifies():
    """D9, D10: lost at a release, and a global lock at each commit."""
    check(listens, [*SOURCES, *MIGRATIONS], "The relay is woken in memory, and polls:")


def unsafe_commits(path: Path) -> Iterator[Finding]:
    for line, written in texts(path):
        if "synchronous_commit" in written:
            yield line, written[:80]


def test_no_commit_is_faster_than_the_disk():
    """D14: concurrency makes commits cheap, and nothing else may; the doctor looks for it."""
    others = [path for path in SOURCES if path.parent.name != "doctor"]
    check(unsafe_commits, [*others, *MIGRATIONS], "Add writers instead:")


def bare_strings(path: Path) -> Iterator[Finding]:
    """Fields of a class that merchants or buyers fill in, typed as any text at all."""
    for node in nodes(path, ast.ClassDef):
        if not isinstance(node, ast.ClassDef) or "Strict" not in map(name_of, node.bases):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and re.match(
                r"(str|list\[str\])\b", ast.unparse(field.annotation)
            ):
                yield field.lineno, ast.unparse(field)


def test_every_text_from_outside_has_bounds():
    """D11: and with them the pattern that refuses NUL, at the door and with a 400."""
    contracts = [path for path in SOURCES if path.parent.name == "contracts"]
    check(bare_strings, contracts, "Annotated[str, text(…)]:")


@pytest.mark.parametrize("control", ["\x00", "\x01", "\x1b", "\x7f"])
@pytest.mark.parametrize("constraints", [text(10), text(10, 1)])
def test_a_text_with_a_control_character_is_refused(constraints: Any, control: str):
    adapter = TypeAdapter(Annotated[str, constraints])

    assert adapter.validate_python("a\tb\nü")
    with pytest.raises(ValidationError):
        adapter.validate_python(f"a{control}b")


# Style.


def long_functions(path: Path) -> Iterator[Finding]:
    for function in functions(path):
        lines = (function.end_lineno or 0) - function.lineno + 1
        if lines > LINES_OF_A_FUNCTION:
            yield function.lineno, f"{function.name} has {lines} lines"


def test_no_function_is_longer_than_a_screen():
    check(long_functions, SOURCES, "Keep the ifs, extract the work:")


def long_files(path: Path) -> Iterator[Finding]:
    lines = len(path.read_text().splitlines())
    if lines > LINES_OF_A_FILE:
        yield lines, f"{lines} lines"


def test_no_file_is_longer_than_a_reader_holds():
    check(long_files, [*SOURCES, *TESTS], "Find the second subject in it:")


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def empty_words(path: Path) -> Iterator[Finding]:
    if found := words_of(path.stem) & NOTHING_SAID:
        yield 1, f"the module: {found}"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef) and words_of(node.name) & NOTHING_SAID_BY_A_TYPE:
            yield node.lineno, node.name
        if isinstance(node, Function) and words_of(node.name) & NOTHING_SAID:
            yield node.lineno, node.name


def test_names_say_what_a_thing_is():
    check(empty_words, SOURCES, "Say what it is or does:")


CHANCE_OR_CLOCK: Final = {
    "now", "utcnow", "today", "monotonic", "perf_counter", "time_ns", "uuid4", "uuid7", "urandom",
    "random", "randint", "choice", "token_urlsafe", "token_hex", "new_id", "new_ulid", "getenv",
}  # fmt: skip
WORLD: Final = {
    "asyncio", "aiohttp", "aio_pika", "asyncpg", "os", "time", "random", "secrets", "uuid",
    "socket", "structlog", "logging", "subprocess", "pathlib", "ulid",
}  # fmt: skip


def impure(path: Path) -> Iterator[Finding]:
    for call in calls(path):
        is_argument = receiver_of(call) in ("at", "mint")  # given, as ids have to be
        if name_of(call.func) in CHANCE_OR_CLOCK and not is_argument:
            yield call.lineno, ast.unparse(call)[:60]
    for line, name in imports(path):
        if name.split(".")[0] in WORLD or name.startswith(("shared.db", "shared.bus")):
            yield line, name
    for function in functions(path):
        if isinstance(function, ast.AsyncFunctionDef):
            yield function.lineno, f"async {function.name}"


def test_pure_rooms_know_no_clock_no_chance_and_no_world():
    pure = [path for path in SOURCES if path.name in PURE]

    assert len(pure) >= 5
    check(impure, pure, "Time and ids are arguments: take `now` or an id:")
