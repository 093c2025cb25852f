"""What is deployed: manifests, locked dependencies, a service that writes to its folders only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import requests
import yaml

from core.settings import Settings
from tools.lock_hashes import LOCK, UNHASHED, names

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
BASE = sorted((KUBERNETES / "base").glob("[!k]*.yaml"))
SCALED = [KUBERNETES / "scaled" / name for name in ("query.yaml", "network.yaml")]


def documents(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        yield from yaml.safe_load_all(file)


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for path in BASE:
        for document in documents(path):
            if document["kind"] == "Deployment":
                pod = document["spec"]["template"]["spec"]
                yield from ((pod, container) for container in pod["containers"])


@pytest.mark.parametrize(
    "path", [*BASE, *SCALED], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_kubernetes_objects_fit_their_schemas(path: Path, version: str) -> None:
    for document in documents(path):
        kubernetes_validate.validate(document, version, strict=True)


def test_the_kustomizations_name_every_file_there_is() -> None:
    (base,) = documents(KUBERNETES / "base/kustomization.yaml")
    assert sorted(base["resources"]) == [path.name for path in BASE]
    (gpu,) = documents(KUBERNETES / "gpu/kustomization.yaml")
    assert gpu["resources"] == ["../base"]
    for patch in gpu["patches"]:
        (operations,) = documents(KUBERNETES / "gpu" / patch["path"])
        assert {step["op"] for step in operations} == {"add"}
    (scaled,) = documents(KUBERNETES / "scaled/kustomization.yaml")
    assert scaled["resources"] == ["../base", *(path.name for path in SCALED)]
    named = {patch["path"] for patch in scaled["patches"]} | set(scaled["resources"])
    there = {path.name for path in (KUBERNETES / "scaled").iterdir()}
    assert there - named == {"kustomization.yaml"}
    assert "nvidia.com~1gpu" in (KUBERNETES / "gpu/gpu.yaml").read_text()


def test_pods_run_as_nobody_and_write_to_their_volumes_only() -> None:
    found = list(containers())
    assert len(found) == 2
    for pod, container in found:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not pod["automountServiceAccountToken"]
        assert not pod["enableServiceLinks"]
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"]
        assert not locked["allowPrivilegeEscalation"]
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert mounts["/data/images"]["readOnly"]
        assert {"/tmp", "/data/store", "/cache"} <= set(mounts)  # noqa: S108  # a mount, not a file
        assert "sh" not in container["command"]


def test_query_nodes_have_no_store_and_grow_by_themselves() -> None:
    deployment, service, scaler, budget = documents(SCALED[0])
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert budget["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert "replicas" not in deployment["spec"]  # the autoscaler's
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "--no-ingest" in container["command"]
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "/data/store" not in mounts
    assert not [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert "LOOKALIKE_COORDINATOR_URL" in {one["name"] for one in container["env"]}


def test_many_services_and_one_ingester() -> None:
    deployments = {
        document["metadata"]["name"]: document["spec"]
        for path in BASE
        for document in documents(path)
        if document["kind"] == "Deployment"
    }
    service, ingest = deployments["lookalike-service"], deployments["lookalike-ingest"]
    assert service["replicas"] > 1
    assert (ingest["replicas"], ingest["strategy"]) == (1, {"type": "Recreate"})
    (container,) = service["template"]["spec"]["containers"]
    assert "--no-ingest" in container["command"]
    paths = {
        probe: container[probe]["httpGet"]["path"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths["livenessProbe"] == "/health/live"
    assert paths["readinessProbe"] == paths["startupProbe"] == "/health/ready"


def test_the_compose_file_fits_its_schema_and_locks_its_containers() -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("check-jsonschema"),
            "--builtin-schema",
            "vendor.compose-spec",
            DEPLOY / "compose.yaml",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (compose,) = documents(DEPLOY / "compose.yaml")
    assert set(compose["services"]) == {"service", "ingest", "query", "prometheus", "grafana"}
    for service in compose["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        for mount in service["volumes"]:
            source = mount.partition(":")[0]
            assert source in compose["volumes"] or source[0] == "$" or (DEPLOY / source).exists()
        for port in service.get("ports", ()):
            assert "127.0.0.1" in port
    assert compose["networks"]["inside"]["internal"]


def test_every_setting_a_manifest_names_exists() -> None:
    known = {f"LOOKALIKE_{name.upper()}" for name in Settings.model_fields}
    own = {"LOOKALIKE_BIND", "LOOKALIKE_PHOTOS", "LOOKALIKE_EXTRAS"} | {
        f"LOOKALIKE_{part}_MEMORY" for part in ("SERVICE", "INGEST")
    }
    for path in [ROOT / "Dockerfile", *DEPLOY.rglob("*.yaml"), *ROOT.glob("docs/*.md")]:
        named = set(re.findall(r"LOOKALIKE_[A-Z][A-Z_]*[A-Z]", path.read_text()))
        assert named <= known | own, path


def test_the_image_starts_no_shell_and_runs_as_nobody() -> None:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    assert re.search(r"^USER lookalike$", text, re.MULTILINE)
    for word in ("CMD", "ENTRYPOINT"):
        for line in re.findall(rf"{word}\s+(.*)", text):
            assert line.lstrip().startswith("["), line
    assert "--require-hashes" in text


def test_every_runtime_package_but_torch_is_locked_by_hash() -> None:
    text = LOCK.read_text()
    locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;]+)", text, re.MULTILINE))
    blocks = re.split(r"\n(?=[A-Za-z])", text)[1:]
    assert all("--hash=sha256:" in block for block in blocks)
    assert len(blocks) == len(locked)
    assert "://" not in text
    plain = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in locked.items()}
    for name in names(ROOT / "requirements.txt"):
        assert UNHASHED.match(f"{name}==") or re.sub(r"[-_.]+", "-", name).lower() in plain, name
    pins = re.findall(
        r"^([A-Za-z0-9_.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
    for name, version in pins:
        known = plain.get(re.sub(r"[-_.]+", "-", name).lower())
        assert known in (None, version), f"{name}: make lock"
    assert not [name for name in plain if UNHASHED.match(f"{name}==")]


READ_ONLY = """
mount --bind / "$1/root" && mount -o remount,bind,ro "$1/root"
mount --rbind /proc "$1/root/proc" && mount --rbind /dev "$1/root/dev"
mount -t tmpfs none "$1/root/tmp" && mkdir -p "$1/root/tmp/store" "$1/root$3"
mount --bind "$3" "$1/root$3" && mount -o remount,bind,ro "$1/root$3"  # it may lie in /tmp
exec chroot "$1/root" "$2" -c '
import os, sys
os.chdir(sys.argv[1])
sys.path.insert(0, "")
try:
    open("written", "w")
except OSError:
    pass
else:
    sys.exit("the root can be written")
from ingest.__main__ import app
from service.__main__ import main
try:
    app(["run"])
except SystemExit as left:
    assert not left.code, left.code
sys.argv = ["lookalike", "serve", "--port", "0", "--no-ingest"]
main()
' "$3"
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to make a file system read-only")
def test_service_and_ingester_work_on_a_read_only_file_system(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    command = ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", tmp_path, sys.executable, ROOT]
    environment = {
        **os.environ,
        "LOOKALIKE_IMAGE_DIR": str(ROOT / "data/images"),
        "LOOKALIKE_STORE_DIR": "/tmp/store",  # noqa: S108  # of the file system made here
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, "")
            url = next((line.split()[-1] for line in lines if "answers at" in line), "")
            complaint = process.stderr.read() if process.stderr and not url else ""
            if "Operation not permitted" in complaint:
                pytest.skip("this machine lets nobody mount")
            assert url, complaint
            query = ROOT / "data/queries/red-sneaker-street.jpg"
            asked = ["curl", "-sSf", "-F", f"file=@{query}", f"{url}/api/v1/find-similar"]
            done = subprocess.run(asked, capture_output=True, text=True, check=True)
            assert "similarity_score" in done.stdout
            assert requests.get(f"{url}/", timeout=10).status_code == 200
        finally:
            process.kill()
