"""deploy/k8s is what Kubernetes takes, and keeps the promises of deploy/README.md.

The base is put together here, as far as it uses Kustomize (resources, patches by kind, labels);
the overlay only by `kubectl kustomize` itself, where that is installed.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from services.rooms import ROLES
from services.serving import UNREADY_SECONDS
from services.web import SHUTDOWN_SECONDS
from shared.config import REQUIRED, Settings

Document = dict[str, Any]
K8S: Final = Path("deploy/k8s")
BASE: Final = K8S / "base"
OVERLAY: Final = K8S / "overlays/example"
VERSION: Final = "1.30"  # the oldest that is still cared for; the newest is tried as well
PUBLISH_SECONDS: Final = 5.0


def documents(path: Path) -> list[Document]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def merged(base: Any, patch: Any) -> Any:
    """A strategic merge, as far as it is used: maps by key, lists of named things by name."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return {
            key: merged(base[key], patch[key]) if key in base and key in patch
            else base.get(key, patch.get(key))
            for key in (*base, *(key for key in patch if key not in base))
        }  # fmt: skip
    if isinstance(base, list) and isinstance(patch, list):
        named = {one["name"]: one for one in base}
        changes = {one["name"]: one for one in patch}
        return list(merged(named, changes).values())
    return patch


def built_base() -> Iterator[Document]:
    kustomization = documents(BASE / "kustomization.yaml")[0]
    (pairs,) = [one["pairs"] for one in kustomization["labels"]]
    patches = {
        one["target"]["kind"]: documents(BASE / one["path"])[0] for one in kustomization["patches"]
    }
    for name in kustomization["resources"]:
        for document in documents(BASE / name):
            one = copy.deepcopy(document)
            if patch := patches.get(one["kind"]):
                one = merged(one, {"spec": patch["spec"]})
                labels = one["spec"]["template"]["metadata"]["labels"]
                labels.update(pairs)
            one["metadata"].setdefault("labels", {}).update(pairs)
            yield one


ALL: Final = list(built_base())
PODS: Final = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"]
    for one in ALL
    if one["kind"] in ("Deployment", "Job")
}
each_pod = pytest.mark.parametrize("name", PODS)
SERVICES: Final = {f"flint-{role}" for role in ROLES}


def named(kind: str) -> dict[str, Document]:
    return {one["metadata"]["name"]: one for one in ALL if one["kind"] == kind}


def container(name: str) -> Document:
    (only,) = PODS[name]["containers"]
    return dict(only)


@pytest.mark.parametrize("version", [VERSION, kubernetes_validate.latest_version()])
def test_every_document_is_valid(version: str):
    for one in ALL:
        kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here to build the overlay")
def test_the_example_is_built_by_kustomize_itself_and_valid():
    built = subprocess.run(
        ["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, check=True
    )
    found = [one for one in yaml.safe_load_all(built.stdout) if one]

    for one in found:
        kubernetes_validate.validate(one, VERSION, strict=True)
    kinds = sorted(one["kind"] for one in found if one["kind"] != "ConfigMap")
    assert kinds == sorted(one["kind"] for one in ALL)
    assert {one["metadata"]["namespace"] for one in found} == {"flint"}
    for one in found:
        if one["kind"] in ("Deployment", "Job"):
            spec = one["spec"]["template"]["spec"]
            ours = PODS[one["metadata"]["name"]]
            assert spec.keys() == ours.keys(), "put together here as Kustomize does"
            assert spec["containers"][0].keys() == ours["containers"][0].keys()
            assert spec["containers"][0]["image"] == "registry.example.com/flint:0.1.0"


def test_each_service_runs_twice_and_is_taken_away_one_at_a_time():
    deployments, budgets = named("Deployment"), named("PodDisruptionBudget")

    assert set(deployments) == set(budgets) == SERVICES
    for name, one in deployments.items():
        selector = one["spec"]["selector"]["matchLabels"]
        assert selector == budgets[name]["spec"]["selector"]["matchLabels"]
        assert selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
        assert one["spec"].get("replicas", 2) == 2
        assert one["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert container(name)["args"] == ["serve", name.removeprefix("flint-")]
    scaler = named("HorizontalPodAutoscaler")["flint-gateway"]["spec"]
    assert scaler["minReplicas"] == 2
    assert "replicas" not in deployments["flint-gateway"]["spec"], "they are the autoscaler's"


@each_pod
def test_a_pod_may_do_nothing_that_it_need_not(name: str):
    pod, only = PODS[name], container(name)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert only["resources"]["requests"]
    assert only["resources"]["limits"]["memory"]


@each_pod
def test_kubernetes_sets_no_variable_that_looks_like_a_setting(name: str):
    """FLINT_GATEWAY_PORT and the like would stop every start as misspelt."""
    assert PODS[name]["enableServiceLinks"] is False


@each_pod
def test_secrets_come_by_reference_and_only_a_containers_own(name: str):
    secrets = [one["secret"]["secretName"] for one in PODS[name]["volumes"] if "secret" in one]

    assert secrets == [name]
    assert "env" not in container(name)
    assert {"name": "secrets", "mountPath": "/run/secrets", "readOnly": True} in (
        container(name)["volumeMounts"]
    )


@pytest.mark.parametrize("role", ROLES)
def test_deploys_secrets_script_makes_what_each_service_needs(role: str, tmp_path: Path):
    subprocess.run(["sh", "deploy/secrets.sh", str(tmp_path)], check=True, capture_output=True)

    made = {path.name for path in (tmp_path / role).iterdir()}
    assert made >= {f"flint_{name}" for name in REQUIRED[role]}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_pod_is_given_longer_to_stop_than_it_takes(name: str):
    pod, only = PODS[name], container(name)
    pause = float(only["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = Settings.model_fields["drain_seconds"].default

    takes = pause + UNREADY_SECONDS + SHUTDOWN_SECONDS + drain + PUBLISH_SECONDS
    assert pod["terminationGracePeriodSeconds"] > takes


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_that_waits_for_its_database_is_not_killed_for_it(name: str):
    only = container(name)
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}

    assert only["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "internal"}
    assert only["startupProbe"]["httpGet"] == {"path": "/livez", "port": "internal"}
    assert only["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "internal"}
    assert f"FLINT_INTERNAL_PORT={ports['internal']}" in Path("deploy/Dockerfile").read_text()


def test_every_setting_of_the_config_map_is_one():
    (made,) = documents(BASE / "kustomization.yaml")[0]["configMapGenerator"]
    known = {f"FLINT_{name.upper()}" for name in Settings.model_fields}

    assert {line.partition("=")[0] for line in made["literals"]} <= known


def test_what_nobody_allowed_is_forbidden_on_the_network():
    policies = {name: one["spec"] for name, one in named("NetworkPolicy").items()}

    nothing = policies.pop("flint-nothing")
    assert nothing["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in nothing
    assert "egress" not in nothing
    doors = [spec for spec in policies.values() if "Ingress" in spec["policyTypes"]]
    for spec in doors:
        assert all(rule["from"] for rule in spec["ingress"]), "nobody from everywhere"
