"""deploy/secrets.sh: a rotated key is read for a while longer, and then no more."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from shared import config
from shared.config import load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(tmp_path)
    return tmp_path


def run(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["sh", "deploy/secrets.sh", *arguments, str(folder)], check=True, capture_output=True
    )


def signing_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a gateway started with these secrets reads with."""
    monkeypatch.setattr(config, "SECRETS_DIR", folder / "gateway")
    return load(["gateway"]).signing_keys()


def test_a_rotated_signing_key_is_accepted_until_it_is_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (old,) = signing_keys(folder, monkeypatch)

    run(folder, "--rotate", "secret_key")
    during = signing_keys(folder, monkeypatch)
    run(folder)  # any other run in between changes nothing
    still = signing_keys(folder, monkeypatch)
    run(folder, "--forget", "secret_key_previous")
    after = signing_keys(folder, monkeypatch)

    assert during[0] == old
    assert during == still
    assert during[1] != old
    assert after == during[1:]


def test_a_rotated_password_is_new_wherever_it_is_written(folder: Path):
    name = "flint_links_database_url"
    before = {part: (folder / part / name).read_text() for part in ("links", "migrate", "operator")}

    run(folder, "--rotate", "database_links")

    after = {part: (folder / part / name).read_text() for part in before}
    assert len(set(before.values())) == len(set(after.values())) == 1
    assert before != after


def test_nothing_is_rotated_that_is_not_there(folder: Path):
    with pytest.raises(subprocess.CalledProcessError):
        run(folder, "--rotate", "secret_kee")
