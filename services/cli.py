"""The `flint` command. Heavy modules are imported inside commands: `--help` has to be quick."""

from __future__ import annotations

import gc
import sys
from typing import Annotated, Any, Literal, NoReturn

from cyclopts import App, Parameter

from shared.version import VERSION

Service = Literal["links", "sessions", "orders", "gateway", "all"]
Part = Literal["links", "sessions", "orders", "gateway", "topology", "databases"]

app = App(
    name="flint",
    help="""Flint: payment links and hosted checkout, on your own machines.

    To try it: `flint run`, and buy through the link that it prints. To run it for real:
    `flint migrate`, `flint topology apply`, then `flint serve …` for each service. When
    something is wrong: `flint doctor` says what, and what to do.
    """,
    version=VERSION,
)
migrations = App(name="migrate")
waiting = App(name="outbox", help="Messages on their way: how many wait, since when, and why.")
topology = App(name="topology", help="What RabbitMQ has to hold: exchanges, queues, policies.")
merchant = App(name="merchant", help="Merchants and their keys.")
links = App(name="links", help="Payment links' numbers.")
dead = App(name="dead", help="Messages nobody could handle: look at them, send them again.")
for group in (migrations, topology, merchant, links, waiting, dead):
    app.command(group)


@app.command
def run() -> None:
    """Start the whole shop here: no broker, no configuration, data in .flint/.

    FLINT_PORT (8080) and FLINT_DATA (.flint) override. Ctrl-C stops it and keeps everything.
    """
    from services import local

    settings = _settings(local_defaults=True, service="run")
    _run(local.run(settings))


@app.command
def serve(*services: Service) -> None:
    """Run services of this installation over RabbitMQ; `all` runs the four together.

    Configured by FLINT_… variables, see .env.example. SIGTERM drains and stops.

    Parameters
    ----------
    services
        links, sessions, orders, gateway or all.
    """
    from services.rooms import ROLES
    from services.serving import serve as serve_them

    if not services:
        _fail("name what to serve: links, sessions, orders, gateway or all")
    roles = list(ROLES) if "all" in services else list(dict.fromkeys(services))
    _run(serve_them(roles, _settings(*roles, service="+".join(roles))))


@migrations.default
def migrate(*, create: bool = False) -> None:
    """Bring every database up to this version. Safe to repeat, and from several places at once.

    Run it before the services of a new version start: the old ones keep running on the new
    tables. A database that is newer than this version is refused, and nothing is changed.

        flint migrate              # apply what is missing, and say so
        flint migrate status       # only say; exit code 1 if something is missing

    Parameters
    ----------
    create
        Before that, make the databases and roles that the addresses name, as the administrator
        of FLINT_ADMIN_DATABASE_URL.
    """
    from services.operating import migrate_all
    from services.provisioning import make_databases

    settings = _settings("databases", *(["admin_database"] if create else []))
    if create:
        _run(make_databases(settings))
    _run(migrate_all(settings))


@migrations.command(name="status")
def migrate_status(*, json: bool = False) -> None:
    """How every database stands to this version; exit code 1 if one is behind or unusable."""
    from services.operating import show_migrations

    if not _run(show_migrations(_settings(), is_json=json)):
        sys.exit(1)


@app.command
def doctor(*parts: Part, json: bool = False) -> None:
    """Look at everything the installation stands on, and say what to do. Changes nothing.

    Configuration, each database (rights, migrations, clock, disk), the broker (users, queues,
    bindings, policies, consumers, alarms), what waits and what is dead. Exit code 1 if a check
    failed; a warning is no failure.

        flint doctor               # whatever is configured here
        flint doctor gateway       # as the gateway's container sees it
        flint doctor --json        # for a program

    Parameters
    ----------
    parts
        Services, `topology` or `databases`.
    """
    from services.doctor.examination import examine
    from shared import logs

    logs.configure(level="error")  # its lines say it all
    if not _run(examine(parts, is_json=json)):
        sys.exit(1)


@waiting.command(name="list")
def outbox_list(
    *services: Literal["links", "sessions", "orders", "gateway"], limit: int = 5, json: bool = False
) -> None:
    """How much waits in each service's outbox, and the oldest of it with the last reason.

    An outbox is empty or seconds old. One that grows older says why: the broker is away, a queue
    is full, or nobody is bound to a topic (`flint doctor` finds which).

        flint outbox list
        flint outbox list orders --limit 50

    Parameters
    ----------
    services
        Only these.
    limit
        Messages shown of each.
    """
    from services.outboxes import list_outboxes

    _run(list_outboxes(_settings(), services, limit, is_json=json))


@waiting.command(name="show")
def outbox_show(message_id: str, *, json: bool = False) -> None:
    """Everything about one message but its body, which may name a buyer.

    Parameters
    ----------
    message_id
        Its id, as `flint outbox list` prints it.
    """
    from services.outboxes import show_message

    _run(show_message(_settings(), message_id, is_json=json))


@waiting.command(name="replay")
def outbox_replay(
    message_id: Annotated[str | None, Parameter(help="One letter; none: all of them.")] = None,
) -> None:
    """Send dead letters that the databases keep again: after a mend, or with `flint run`.

    RabbitMQ's own dead letters are sent again by `flint dead replay`.
    """
    from services.outboxes import replay_buried

    _run(replay_buried(_settings(), message_id or ""))


@app.command
def snapshot(*, settle_seconds: float = 65.0, patience_seconds: float = 900.0) -> None:
    """Hold one moment of all databases for pg_dump; deploy/backup.sh calls it.

    Prints a line `database snapshot-id` each, and holds them until its standard input ends. The
    shop goes on: writers wait for some milliseconds. The restored databases pass the audit
    without what RabbitMQ held: it is in the outboxes, and is said again.

    Parameters
    ----------
    settle_seconds
        The longest that a message can be in a service's hands.
    patience_seconds
        How long the queues may take to be empty once; a retry under way takes minutes.
    """
    from services.snapshots import hold_snapshots

    _run(hold_snapshots(_settings(), settle_seconds, patience_seconds))


@app.command
def audit(*, wait_seconds: float = 15.0, every_seconds: float | None = None) -> None:
    """Check the invariants over all databases and the provider's ledger.

    Prints what it counted. Exits with 1 and the ids on a breach. Without FLINT_…_DATABASE_URL
    it audits the data of `flint run`.

    Parameters
    ----------
    wait_seconds
        How long a breach may last before it counts: facts travel for a moment.
    every_seconds
        Stay and audit again and again, with so long a pause; the outcome is a log line and a
        metric behind the internal door. SIGTERM ends it.
    """
    from services.auditing import audit_all

    if every_seconds is not None:
        from services.audit_watch import audit_for_ever

        _run(audit_for_ever(_settings(service="audit"), wait_seconds, every_seconds))
        return
    if not _run(audit_all(_settings(), wait_seconds)):
        sys.exit(1)


@topology.command(name="apply")
def topology_apply(*, users: bool = False) -> None:
    """Declare exchanges, queues, bindings and policies. Safe to repeat; nothing is removed.

    Parameters
    ----------
    users
        Also make the user of each FLINT_…_AMQP_URL, with the permissions that `show` prints.
    """
    from services.operating import apply_topology
    from services.provisioning import make_broker_users

    settings = _settings("topology", *(["broker_users"] if users else []))
    _run(apply_topology(settings))
    if users:
        _run(make_broker_users(settings))


@topology.command(name="empty")
def topology_empty() -> None:
    """Exit code 0 if the broker holds no message of ours and no service runs: for a restore."""
    from services.operating import topology_is_empty

    if not _run(topology_is_empty(_settings("letters"))):
        sys.exit(1)


@topology.command(name="show")
def topology_show() -> None:
    """Print the topology that is derived from the services' handlers."""
    from services.operating import show_topology

    show_topology()


@merchant.command(name="create")
def merchant_create(name: str, *, mode: Literal["test", "live"] = "test") -> None:
    """Create a merchant and a first API key, which is shown only now.

    Parameters
    ----------
    name
        What buyers see on the page.
    mode
        The key's mode; the sandbox answers every test key.
    """
    from services.operating import create_merchant_with_key

    _run(create_merchant_with_key(_settings("gateway_database"), name, mode))


@links.command(name="rebuild-stats")
def links_rebuild_stats() -> None:
    """Make every link's numbers what the event log says, a day at a time, while all goes on.

    Without FLINT_GATEWAY_DATABASE_URL it works on the data of `flint run`.
    """
    from services.link_stats import rebuild_link_stats

    _run(rebuild_link_stats(_settings()))


@app.command
def demo() -> None:
    """Make a demo merchant in a running installation: a key, and links to buy through.

    `flint run` has one already. In the containers: `docker compose exec gateway flint demo`.
    """
    from services.seeding import seed

    _run(seed(_settings("demo")))


@dead.command(name="list")
def dead_list() -> None:
    """List dead letters of every queue with their reasons."""
    from services.letters import list_letters

    _run(list_letters(_settings("letters")))


@dead.command(name="show")
def dead_show(message_id: str) -> None:
    """Show one dead letter whole.

    Parameters
    ----------
    message_id
        Its id, as `flint dead list` prints it.
    """
    from services.letters import show_letter

    _run(show_letter(_settings("letters"), message_id))


@dead.command(name="replay")
def dead_replay(
    message_id: Annotated[str | None, Parameter(help="One letter; none: all of them.")] = None,
) -> None:
    """Send dead letters back to their queues. Whatever was handled before is not done twice."""
    from services.letters import replay_letters

    _run(replay_letters(_settings("letters"), message_id))


def _settings(*parts: str, local_defaults: bool = False, service: str = "cli") -> Any:
    from shared import logs
    from shared.config import ConfigurationError, load, with_local_defaults

    try:
        settings = load(parts)
    except ConfigurationError as error:
        _fail(str(error))
    if local_defaults:
        settings = with_local_defaults(settings)
    is_json = settings.log_format == "json"
    logs.configure(level=settings.log_level, is_json=is_json, service=service)
    return settings


def _run(coroutine: Any) -> Any:
    """Run it on the fast loop; what a person can mend is one line, not a traceback."""
    import asyncio

    from services.web import PortTaken
    from shared import logs
    from shared.config import ConfigurationError
    from shared.db.embedded import EmbeddedPostgresError
    from shared.db.migrate import MigrationError
    from shared.errors import Refusal, Unavailable

    expected = (
        PortTaken, ConfigurationError, EmbeddedPostgresError, MigrationError, Refusal, Unavailable,
    )  # fmt: skip
    _spare_the_collector()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.get_loop().set_exception_handler(logs.on_loop_error)
            return runner.run(coroutine)
    except expected as error:
        _fail(str(error))
    except BaseExceptionGroup as group:
        known, rest = group.split(expected)
        if known is None or rest is not None:
            raise
        _fail("; ".join(str(error) for error in known.exceptions))
    except KeyboardInterrupt:
        sys.exit(130)


def _spare_the_collector() -> None:
    # Modules live for ever and messages make no cycles: looking for them often only costs.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop


def _fail(line: str) -> NoReturn:
    sys.stderr.write(f"flint: {line}\n")
    sys.exit(2)


def main() -> None:
    """The console entry point."""
    app()
