"""What deploy/ describes is there, also what no test starts because its images are elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.config import Settings
from tests.support.servers import docker_answers
from tests.support.stacks import DEPLOY, IMAGE, environment, run

pytestmark = pytest.mark.compose
OURS = "FLINT_"


@pytest.fixture
async def described(tmp_path: Path) -> dict[str, Any]:
    """Every service of every profile and overlay, with everything filled in."""
    if not docker_answers():
        pytest.skip("No container engine answers: the tests of tests/compose did not run.")
    env = environment("flint-described", tmp_path, 8080)
    env["COMPOSE_FILE"] = "compose.yaml:compose.cluster.yaml"
    argv = ["docker", "compose", "--profile", "*", "config", "--format", "json"]
    services: dict[str, Any] = json.loads(await run(argv, env))["services"]
    return services


async def test_every_file_that_a_container_is_given_exists(described: dict[str, Any]) -> None:
    files = [
        Path(volume["source"])
        for service in described.values()
        for volume in service.get("volumes", ())
        if volume["type"] == "bind" and volume["source"].startswith(str(DEPLOY))
    ]
    assert len(files) > 8
    assert [file for file in files if not file.is_file()] == []


async def test_every_image_that_is_not_ours_has_a_version(described: dict[str, Any]) -> None:
    foreign = {service["image"] for service in described.values()} - {IMAGE}
    assert {image.partition(":")[0] for image in foreign} == {
        "grafana/grafana", "nginx", "postgres", "prom/prometheus", "rabbitmq",
    }  # fmt: skip
    assert [image for image in foreign if image.partition(":")[2] in ("", "latest")] == []


async def test_every_setting_that_is_passed_on_is_one(described: dict[str, Any]) -> None:
    """A misspelt one would stop the start; here it is found without a start."""
    known = {f"{OURS}{name.upper()}" for name in Settings.model_fields}
    passed = {
        name
        for service in described.values()
        for name in service.get("environment", {})
        if name.startswith(OURS)
    }
    assert passed
    assert passed <= known


async def test_everything_is_bounded_and_restarted(described: dict[str, Any]) -> None:
    for name, service in described.items():
        assert service["logging"]["options"]["max-size"], name
        if service.get("restart") == "unless-stopped":
            assert int(service["mem_limit"]) > 0, name
            assert service["pids_limit"] > 0, name
        else:  # One-shots, which end by themselves.
            assert name in ("secrets", "migrate", "topology", "operator"), name
