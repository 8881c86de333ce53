"""A wrong configuration is refused at the start, in one line that names everything wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared import config
from shared.config import ConfigurationError, Settings, load, with_local_defaults

KEY = "0123456789abcdef" * 2
GATEWAY = {
    "FLINT_GATEWAY_DATABASE_URL": "postgresql://gateway@db/gateway",
    "FLINT_GATEWAY_AMQP_URL": "amqp://gateway@mq/flint",
    "FLINT_SANDBOX_DATABASE_URL": "postgresql://sandbox@db/sandbox",
    "FLINT_SECRET_KEY": KEY,
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("FLINT_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(config, "SECRETS_DIR", tmp_path / "no-secrets")


def set_all(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_nothing_has_to_be_set_for_a_part_that_needs_nothing():
    settings = load([])

    assert settings.public_url == "http://localhost:8080"
    assert settings.secret_key is None


def test_all_that_a_part_needs_is_enough(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, GATEWAY)

    settings = load(["gateway"])

    assert settings.secret("secret_key") == KEY
    assert settings.secret("gateway_amqp_url") == "amqp://gateway@mq/flint"


def test_everything_that_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch):
    """Missing, misspelt, out of range and too short: one start finds them all."""
    set_all(monkeypatch, {
        "FLINT_GATEWAY_DATABASE_URL": "postgresql://gateway@db/gateway",
        "FLINT_GATEWAY_AMPQ_URL": "amqp://gateway@mq/flint",
        "FLINT_PORT": "eighty",
        "FLINT_LOG_LEVEL": "loud",
        "FLINT_SECRET_KEY": "",
    })  # fmt: skip

    with pytest.raises(ConfigurationError) as raised:
        load(["gateway", "links"])

    line = str(raised.value)
    assert "\n" not in line
    for problem in (
        "FLINT_GATEWAY_AMPQ_URL is not a setting (misspelt?)",
        "FLINT_PORT: ",
        "FLINT_LOG_LEVEL: ",
        "FLINT_GATEWAY_AMQP_URL is missing",
        "FLINT_SANDBOX_DATABASE_URL is missing",
        "FLINT_LINKS_DATABASE_URL is missing",
        "FLINT_LINKS_AMQP_URL is missing",
        "FLINT_SECRET_KEY is missing",
    ):
        assert problem in line
    assert "FLINT_GATEWAY_DATABASE_URL" not in line


def test_a_short_secret_is_refused_together_with_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, {"FLINT_SECRET_KEY": "changeme"})

    with pytest.raises(ConfigurationError) as raised:
        load(["gateway"])

    assert "FLINT_SECRET_KEY is shorter than 32 characters" in str(raised.value)
    assert "FLINT_GATEWAY_AMQP_URL is missing" in str(raised.value)


def test_a_secret_of_exactly_32_characters_is_long_enough(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, GATEWAY)

    assert load(["gateway"]).secret("secret_key") == KEY


def test_a_long_secret_that_anybody_could_guess_is_refused(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, GATEWAY | {"FLINT_SECRET_KEY": "ab" * 32})

    with pytest.raises(ConfigurationError, match="FLINT_SECRET_KEY is hardly random"):
        load(["gateway"])


@pytest.mark.parametrize(
    "name", ["FLINT_GATEWAY_DATABASE_URL", "FLINT_GATEWAY_AMQP_URL", "FLINT_ADMIN_DATABASE_URL"]
)
@pytest.mark.parametrize(
    "login, is_weak",
    [("u:guest@mq", True), ("u:@a,b", True), ("u:0123456789abcdef@mq", False), ("u@mq", False),
     ("guest:guest@localhost:5672", False)],
)  # fmt: skip
def test_a_short_password_is_refused_unless_it_never_leaves_the_machine(
    name: str, login: str, is_weak: bool, monkeypatch: pytest.MonkeyPatch
):
    set_all(monkeypatch, GATEWAY | {name: f"amqp://{login}/flint"})

    if is_weak:
        with pytest.raises(ConfigurationError, match=f"the password in {name} is shorter than 16"):
            load(["gateway"])
    else:
        load(["gateway"])


def test_no_value_is_ever_shown(monkeypatch: pytest.MonkeyPatch):
    set_all(monkeypatch, GATEWAY | {"FLINT_SECRET_KEY": "hunter2", "FLINT_PUBLIC_URL": "canary"})

    with pytest.raises(ConfigurationError) as raised:
        load(["gateway"])

    assert "hunter2" not in str(raised.value)
    assert "canary" not in str(raised.value)
    set_all(monkeypatch, GATEWAY | {"FLINT_PUBLIC_URL": "https://pay.example.com"})
    assert KEY not in repr(load(["gateway"]))
    assert "gateway@db" not in repr(load(["gateway"]))


def test_secrets_come_from_files_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    set_all(monkeypatch, GATEWAY | {"FLINT_SECRET_KEY": ""})
    (tmp_path / "flint_secret_key").write_text(f"{KEY}\n")
    monkeypatch.setattr(config, "SECRETS_DIR", tmp_path)

    assert load(["gateway"]).secret("secret_key") == KEY


@pytest.mark.parametrize("name", ["FLINT_TEST_DATABASE_URL", "FLINTSTONE", "PORT"])
def test_other_programs_variables_are_none_of_ours(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(name, "anything")

    load([])


def test_settings_cannot_be_changed_once_they_are_read():
    settings = load([])

    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]  # mypy knows it, too


def test_no_address_and_no_secret_has_a_default():
    secret = [name for name in Settings.model_fields if name.endswith(("_key", "_database_url"))]

    assert len(secret) >= 6
    assert {Settings.model_fields[name].default for name in secret} == {None}


@pytest.mark.parametrize("url", ["pay.example.com", "https://x.com/shop", "ftp://x.com", "//x"])
def test_the_public_url_is_an_origin_and_nothing_more(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLINT_PUBLIC_URL", url)

    with pytest.raises(ConfigurationError, match="FLINT_PUBLIC_URL"):
        load([])


def test_flint_run_speaks_to_a_person_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLINT_PORT", "9000")
    plain = with_local_defaults(load([]))
    monkeypatch.setenv("FLINT_LOG_FORMAT", "json")
    told = with_local_defaults(load([]))

    assert (plain.public_url, plain.log_format) == ("http://localhost:9000", "pretty")
    assert told.log_format == "json"
