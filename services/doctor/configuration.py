"""The configuration: what is missing, misspelt, weak, or at odds with itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final
from urllib.parse import urlsplit

from services.doctor.finding import Finding, fail, ok, warn
from services.rooms import DATABASES
from shared.config import PREFIX, REQUIRED, ROLES, ConfigurationError, Settings, load

LOCAL: Final = ("localhost", "127.0.0.1", "::1")
SUBJECT: Final = "configuration"
SHARED: Final = ("sandbox_database_url", "secret_key")  # several parts need them


def read(parts: Sequence[str]) -> tuple[Settings | None, list[Finding]]:
    """The settings as far as they can be read, and everything that a start would refuse.

    Without parts it is what any setting here belongs to.
    """
    try:
        parts = parts or _configured(load([]))
        settings = load(parts)
    except ConfigurationError as error:
        problems = str(error).removeprefix("bad configuration: ").split("; ")
        cure = "set it, or put it into a file of that name in /run/secrets; see .env.example"
        return None, [fail(SUBJECT, problem, cure) for problem in problems]
    return settings, [*_oddities(settings), *_same_databases(settings)] or [
        ok(SUBJECT, f"everything is set for {', '.join(parts) or 'flint run'}")
    ]


def _configured(settings: Settings) -> list[str]:
    return [
        part
        for part in (*ROLES, "topology")
        if any(getattr(settings, name) for name in REQUIRED[part] if name not in SHARED)
    ]


def _oddities(settings: Settings) -> Iterator[Finding]:
    url = urlsplit(settings.public_url)
    if url.scheme == "http" and url.hostname not in LOCAL:
        cure = "put a proxy with TLS in front, and say https:// here"
        yield warn(SUBJECT, f"{PREFIX}PUBLIC_URL sends buyers over http", cure)
    if url.scheme == "https" and settings.trusted_proxies == 0:
        words = "https needs a proxy, but none is trusted: every buyer looks like the same one"
        yield warn(SUBJECT, words, f"set {PREFIX}TRUSTED_PROXIES to how many stand in front")
    if settings.secret_key_previous is not None:
        words = f"{PREFIX}SECRET_KEY_PREVIOUS is still accepted"
        yield warn(SUBJECT, words, "remove it two days after the rotation; see deploy/README.md")


def _same_databases(settings: Settings) -> Iterator[Finding]:
    given = {
        name: settings.secret(f"{name}_database_url")
        for name in DATABASES
        if getattr(settings, f"{name}_database_url") is not None
    }
    for (one, url), (other, its_url) in combinations(given.items(), 2):
        ours, theirs = urlsplit(url), urlsplit(its_url)
        if url == its_url:
            words = f"{one} and {other} share a database"
            yield fail(SUBJECT, words, "give each a database of its own: their tables would mix")
        elif ours.username == theirs.username:
            words = f"{one} and {other} share the database role {ours.username}"
            yield warn(SUBJECT, words, "give each a role of its own, with a password of its own")
