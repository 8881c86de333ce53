"""Configuration: read once from `FLINT_…`, frozen, and refusing to start when it is wrong.

Every problem is named at once: missing variables, bad values, and misspelt names. No address
and no secret has a default.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX: Final = "FLINT_"
SECRETS_DIR: Final = Path("/run/secrets")
ROLES: Final = ("links", "sessions", "orders", "gateway")
SECRET_LENGTH_MIN: Final = 32
SECRET_VARIETY_MIN: Final = 8  # different characters; a random hexadecimal key has 15 or 16
PASSWORD_LENGTH_MIN: Final = 16
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
Url = Annotated[str, Field(pattern=r"^[a-z]+://")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+$")]


class ConfigurationError(Exception):
    """One line that names every variable that is wrong."""


class Settings(BaseSettings):
    """All that can be set; each role requires its own part (`require`)."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True
    )

    public_url: HttpUrl = "http://localhost:8080"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    internal_host: str = "127.0.0.1"
    internal_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    data: Path = Path(".flint")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "pretty"] = "json"
    database_pool_size: Annotated[int, Field(ge=2, le=100)] = 10
    drain_seconds: Annotated[float, Field(ge=1, le=120)] = 15.0
    rate_limit_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    buyer_rate_limit_per_second: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    trusted_proxies: Annotated[int, Field(ge=0, le=5)] = 0

    secret_key: SecretStr | None = None
    secret_key_previous: SecretStr | None = None
    links_database_url: SecretStr | None = None
    sessions_database_url: SecretStr | None = None
    orders_database_url: SecretStr | None = None
    gateway_database_url: SecretStr | None = None
    sandbox_database_url: SecretStr | None = None
    links_amqp_url: SecretStr | None = None
    sessions_amqp_url: SecretStr | None = None
    orders_amqp_url: SecretStr | None = None
    gateway_amqp_url: SecretStr | None = None
    admin_database_url: SecretStr | None = None
    topology_amqp_url: SecretStr | None = None
    topology_management_url: SecretStr | None = None

    def secret(self, name: str) -> str:
        """The plain value of a required secret; call `require` first."""
        value: SecretStr | None = getattr(self, name)
        assert value is not None, f"{name} was not required at the start"
        return value.get_secret_value()

    def signing_keys(self) -> list[str]:
        """What page tokens are read with; the last one, the current key, signs them."""
        previous = self.secret_key_previous
        return [*([previous.get_secret_value()] if previous else []), self.secret("secret_key")]


REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "links": ("links_database_url", "links_amqp_url"),
    "sessions": ("sessions_database_url", "sessions_amqp_url"),
    "orders": ("orders_database_url", "orders_amqp_url", "sandbox_database_url"),
    "gateway": ("gateway_database_url", "gateway_amqp_url", "sandbox_database_url", "secret_key"),
    "topology": ("topology_amqp_url", "topology_management_url"),
    "gateway_database": ("gateway_database_url",),
    "demo": ("gateway_database_url", "gateway_amqp_url"),
    "admin_database": ("admin_database_url",),
    "broker_users": tuple(f"{role}_amqp_url" for role in ROLES),
    "letters": ("topology_amqp_url",),
    "databases": (
        "links_database_url",
        "sessions_database_url",
        "orders_database_url",
        "gateway_database_url",
        "sandbox_database_url",
    ),
}


def load(parts: Iterable[str]) -> Settings:
    """Settings with everything the parts need (`links`, …, `topology`, `databases`).

    Raises ConfigurationError with one line that names all that is missing, bad or misspelt.
    """
    problems = _misspelt()
    settings = _read(problems)
    problems += _missing(parts)
    if settings is not None:
        problems += _weak(settings)
    if problems or settings is None:
        raise ConfigurationError("bad configuration: " + "; ".join(problems))
    return settings


def with_local_defaults(settings: Settings) -> Settings:
    """For `flint run`: readable logs of what matters, and the address that the port implies."""
    changes: dict[str, object] = {}
    given = settings.model_fields_set
    if "public_url" not in given:
        changes["public_url"] = f"http://localhost:{settings.port}"
    if "log_format" not in given:
        changes["log_format"] = "pretty"
    if "log_level" not in given:
        changes["log_level"] = "warning"
    return settings.model_copy(update=changes)


def _read(problems: list[str]) -> Settings | None:
    secrets = str(SECRETS_DIR) if SECRETS_DIR.is_dir() else None
    try:
        return Settings(_secrets_dir=secrets)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        problems += [f"{PREFIX}{str(one['loc'][0]).upper()}: {one['msg']}" for one in errors]
        return None


def _misspelt() -> list[str]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    strange = [
        name
        for name in os.environ
        if name.startswith(PREFIX) and name not in known and not name.startswith("FLINT_TEST_")
    ]
    return [f"{name} is not a setting (misspelt?)" for name in sorted(strange)]


def _missing(parts: Iterable[str]) -> list[str]:
    """Asked of the environment itself, so that one bad value does not hide what is missing."""
    names = dict.fromkeys(f"{PREFIX}{name.upper()}" for part in parts for name in REQUIRED[part])
    files = SECRETS_DIR.iterdir() if SECRETS_DIR.is_dir() else ()
    given = {name.upper() for name, value in os.environ.items() if value}
    given |= {file.name.upper() for file in files}
    return [f"{name} is missing" for name in names if name not in given]


def _weak(settings: Settings) -> list[str]:
    """Secrets that can be guessed. A URL without a password is let in: it is proved otherwise."""
    problems = []
    key = settings.secret_key
    if key is not None and len(key.get_secret_value()) < SECRET_LENGTH_MIN:
        problems.append(f"FLINT_SECRET_KEY is shorter than {SECRET_LENGTH_MIN} characters")
    elif key is not None and len(set(key.get_secret_value())) < SECRET_VARIETY_MIN:
        problems.append("FLINT_SECRET_KEY is hardly random: `openssl rand -hex 32` makes one")
    for name, value in settings:
        if isinstance(value, SecretStr) and name.endswith("_url"):
            problems += _weak_password(f"{PREFIX}{name.upper()}", value.get_secret_value())
    return problems


def _weak_password(variable: str, text: str) -> list[str]:
    try:
        url = urlsplit(text)
        password, host = url.password, url.hostname
    except ValueError:
        return [f"{variable} is no address"]
    # A developer's own machine may have "guest": nobody else reaches it.
    if password is None or host is None or host in LOOPBACK or len(password) >= PASSWORD_LENGTH_MIN:
        return []
    return [f"the password in {variable} is shorter than {PASSWORD_LENGTH_MIN} characters"]
