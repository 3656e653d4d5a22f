"""The example for a Ray cluster on Kubernetes, judged without one: by KubeRay's schema, and part against part."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from destination_milvus.backfill.on_ray.cluster import CPUS_BESIDE_WORKERS, CPUS_OF_A_WAITING_WORKER
from destination_milvus.protocol.catalog import plan_streams
from destination_milvus.run import _arguments
from devtools.rayjob_schema import SCHEMA, lines, schema_of, shared

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "ray"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
README = (FOLDER / "README.md").read_text()

WRITER_GB = 0.5
TASK_GB = 1

Part = dict[str, Any]

UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

KEYS = re.compile(
    r"AKIA[0-9A-Z]{16}|\bsk-\w|PRIVATE KEY|(?<![a-z])(secret_access_key|password|token)\s*[=:]\s*['\"]?\w",
    re.IGNORECASE,
)
"""What keys look like, and words after which one would stand."""


def documents() -> dict[str, Part]:
    """The manifest's documents by their kind."""
    read = list(yaml.safe_load_all((FOLDER / "rayjob.yaml").read_text()))
    return {document["kind"]: document for document in read}


@pytest.fixture
def job() -> Part:
    """The RayJob, for oneself to change."""
    unshared: Part = json.loads(json.dumps(documents()["RayJob"]))  # an anchor's parts are one object in Python
    return unshared


def head(job: Part) -> Part:
    """The head's group."""
    group: Part = job["spec"]["rayClusterSpec"]["headGroupSpec"]
    return group


def workers(job: Part) -> list[Part]:
    """The groups of workers."""
    groups: list[Part] = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    return groups


def pod(group: Part) -> Part:
    """The specification of a group's pods, or the submitter's."""
    spec: Part = group["template"]["spec"]
    return spec


def ray_container(group: Part) -> Part:
    """The first container is the one in which KubeRay starts Ray."""
    container: Part = pod(group)["containers"][0]
    return container


def pods(job: Part) -> list[Part]:
    """The pods of head, workers and submitter."""
    return [pod(head(job)), *map(pod, workers(job)), job["spec"]["submitterPodTemplate"]["spec"]]


def containers(job: Part) -> Iterator[Part]:
    """All containers that the manifest names, and what it says of the autoscaler's."""
    for spec in pods(job):
        yield from spec["containers"]
    yield job["spec"]["rayClusterSpec"]["autoscalerOptions"]


def quantity(text: str | int) -> float:
    """A quantity of Kubernetes as a number: "4" and "500m" of CPUs, "16Gi" of bytes."""
    number, unit = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", str(text)).groups()  # type: ignore[union-attr]
    return float(number) * UNITS[unit]


def cpus(group: Part) -> float:
    """What KubeRay tells Ray of a pod's CPUs (`generateRayStartCommand`): the parameter, else the limit."""
    limit = ray_container(group)["resources"]["limits"]["cpu"]
    return quantity(group["rayStartParams"].get("num-cpus", limit))


def mistakes(job: Part) -> list[str]:
    """Where the schema of KubeRay's RayJob finds fault with a manifest."""
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(job)]


def test_the_manifest_is_one_that_kuberay_takes(job: Part) -> None:
    """Every field is known to KubeRay, down to the pods' containers and volumes, and of its type."""
    assert mistakes(job) == []


MISTAKES: dict[str, Callable[[Part], object]] = {
    "another kind": lambda job: job.update(kind="RayCluster"),
    "another version": lambda job: job.update(apiVersion="ray.io/v2"),
    "a field of the job that is misspelt": lambda job: job["spec"].update(backOffLimit=2),
    "seconds as text": lambda job: job["spec"].update(ttlSecondsAfterFinished="600"),
    "no head": lambda job: job["spec"]["rayClusterSpec"].pop("headGroupSpec"),
    "a mode of authentication that does not exist": lambda job: job["spec"]["rayClusterSpec"]["authOptions"].update(
        mode="tokens"
    ),
    "a parameter of Ray that is a number": lambda job: head(job)["rayStartParams"].update({"num-cpus": 0}),
    "a field of a group that is misspelt": lambda job: workers(job)[0].update(minReplica=2),
    "a group without a name": lambda job: workers(job)[0].pop("groupName"),
    "a field of a pod that is a container's": lambda job: pod(workers(job)[0]).update(env=[]),
    "a container's field that is misspelt": lambda job: ray_container(head(job)).update(envfrom=[]),
    "a variable that is a number": lambda job: ray_container(head(job))["env"].append({"name": "A", "value": 0}),
    "a variable without a name": lambda job: ray_container(head(job))["env"].append({"value": "0"}),
    "a size that is none": lambda job: ray_container(head(job))["resources"]["limits"].update(memory="8 GB"),
    "a volume's field that is misspelt": lambda job: pod(head(job))["volumes"][1]["emptyDir"].update(size="1Gi"),
    "a field of the pods' metadata that is misspelt": lambda job: head(job)["template"]["metadata"].update(label={}),
    "a profile without its type": lambda job: pod(head(job))["securityContext"]["seccompProfile"].clear(),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_manifest_is_found(job: Part, name: str) -> None:
    """At every depth: a schema that has lost its leaves would find nothing."""
    MISTAKES[name](job)
    assert len(mistakes(job)) == 1


def test_the_manifest_keeps_the_rules_that_the_operator_looks_at_itself(job: Part) -> None:
    """Of its `ValidateRayJobMetadata`, `ValidateRayJobSpec` and `ValidateRayClusterSpec` (v1.7.0)."""
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", job["metadata"]["name"]), "47 characters, a DNS label"
    assert job["spec"]["submissionMode"] == "K8sJobMode"
    assert job["spec"]["shutdownAfterJobFinishes"], "a job without it can be neither suspended nor given a ttl"
    assert job["spec"]["activeDeadlineSeconds"] > 0
    for group in workers(job):
        assert 0 < group["minReplicas"] == group["replicas"] <= group["maxReplicas"]
    for group in (head(job), *workers(job)):
        assert pod(group).get("restartPolicy", "Never") == "Never", "as the second autoscaler wants it"
        assert "ray start" not in str(ray_container(group).get("command")), "KubeRay writes that command"
    assert job["spec"]["submitterPodTemplate"]["spec"]["restartPolicy"] in {"Never", "OnFailure"}, "a Kubernetes Job"


def test_every_part_runs_the_image_with_the_ray_that_is_locked(job: Part) -> None:
    """Ray refuses to connect versions that differ."""
    locked = re.search(r"^ray==([\d.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked is not None
    base = re.search(r"^FROM rayproject/ray:([\d.]+)-py3(\d+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert base[1] == locked[1] == job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"Python :: 3.{base[2]}" in (ROOT / "pyproject.toml").read_text()
    connector = version("airbyte-destination-milvus")
    assert f"'airbyte-destination-milvus[ray,backfill]=={connector}'" in DOCKERFILE
    images = {container["image"] for spec in pods(job) for container in spec["containers"]}
    assert len(images) == 1
    assert images.pop().endswith(f":{connector}-ray{locked[1]}")
    assert "image" not in job["spec"]["rayClusterSpec"]["autoscalerOptions"], "it takes the head's"


def entrypoint(job: Part) -> list[str]:
    """The command without the program's name, as a shell divides it."""
    command: str = job["spec"]["entrypoint"]
    assert "\n" not in command, "KubeRay puts it into a line of shell"
    program, *arguments = shlex.split(command)
    assert program == "destination-milvus"
    return arguments


def test_the_entrypoint_is_a_command_that_the_connector_takes(job: Part) -> None:
    """By its own parser, which ends the process where it does not."""
    parsed = _arguments().parse_args(entrypoint(job))
    assert (parsed.command, parsed.engine, parsed.ray_address) == ("backfill", "ray", "auto")
    assert [address.partition("://")[0] for address in parsed.input] == ["s3"], "what every node can read"
    assert parsed.workers == option(job, "--workers")


def option(job: Part, name: str) -> Any:
    """The value of an option of the entrypoint."""
    arguments = entrypoint(job)
    value = arguments[arguments.index(name) + 1]
    return int(value) if value.isdecimal() else value


def test_configuration_and_catalog_are_where_the_entrypoint_looks_for_them(job: Part) -> None:
    """On the head, the one from the secret and the other from the manifest, readable for the user of the pods."""
    for name, kind in (("--config", "secret"), ("--catalog", "configMap")):
        path = Path(option(job, name))
        (mount,) = (
            mount for mount in ray_container(head(job))["volumeMounts"] if mount["mountPath"] == str(path.parent)
        )
        (volume,) = (volume for volume in pod(head(job))["volumes"] if volume["name"] == mount["name"])
        (source,) = (source[kind] for source in volume["projected"]["sources"] if kind in source)
        assert {"key": path.name, "path": path.name} in source["items"]
        assert volume["projected"]["defaultMode"] == 0o440
        assert "fsGroup" in pod(head(job))["securityContext"], "whose the files are"
        if kind == "configMap":
            catalog = documents()["ConfigMap"]
            assert catalog["metadata"]["name"] == source["name"]
            assert path.name in catalog["data"]
    for group in workers(job):
        assert not [volume for volume in pod(group)["volumes"] if "projected" in volume or "secret" in volume]


def test_every_volume_is_there_that_is_mounted(job: Part) -> None:
    """And none besides."""
    for spec in pods(job):
        mounted = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", ())}
        assert mounted == {volume["name"] for volume in spec.get("volumes", ())}


def test_the_catalog_is_a_configured_catalog_of_the_stream_that_is_read(job: Part) -> None:
    """By what the connector plans a sync with."""
    plans = plan_streams(json.loads(documents()["ConfigMap"]["data"]["catalog.json"]))
    folder = Path(option(job, "--input")).parent.name
    assert list(plans) == [(folder, None)]
    assert plans[folder, None].primary_key, "one that deduplicates"


def test_the_writers_fit_into_the_least_cluster(job: Part) -> None:
    """With a CPU to spare for reading and sorting: it may be all that the autoscaler can get."""
    assert cpus(head(job)) == 0, "no work on the head"
    least = sum(group["minReplicas"] * cpus(group) for group in workers(job))
    assert option(job, "--workers") * CPUS_OF_A_WAITING_WORKER + CPUS_BESIDE_WORKERS <= least


def test_the_object_store_fits_into_shared_memory(job: Part) -> None:
    """Else Ray puts it on the disk. It counts as memory of the container, which needs some beside it."""
    for group in (head(job), *workers(job)):
        container = ray_container(group)
        (volume,) = (volume for volume in pod(group)["volumes"] if volume["name"] == "shared-mem")
        assert {"name": "shared-mem", "mountPath": "/dev/shm"} in container["volumeMounts"]  # noqa: S108
        assert volume["emptyDir"]["medium"] == "Memory"
        size = quantity(volume["emptyDir"]["sizeLimit"])
        assert int(group["rayStartParams"]["object-store-memory"]) < size
        assert size <= quantity(container["resources"]["limits"]["memory"]) / 2


def test_memory_of_a_worker_holds_object_store_writers_and_tasks(job: Part) -> None:
    """All writers at once: Ray may put them on one node."""
    for group in workers(job):
        store = int(group["rayStartParams"]["object-store-memory"])
        others = option(job, "--workers") * WRITER_GB + cpus(group) * TASK_GB
        assert store + others * 1e9 <= quantity(ray_container(group)["resources"]["limits"]["memory"])


def test_requests_are_limits_and_the_disk_holds_what_is_spilled(job: Part) -> None:
    """Of what is not requested, a node need not have anything; what is above the limit is evicted."""
    for spec in pods(job):
        for container in spec["containers"]:
            assert container["resources"]["requests"] == container["resources"]["limits"]
    for group in (head(job), *workers(job)):
        disk = quantity(ray_container(group)["resources"]["limits"]["ephemeral-storage"])
        (mount,) = (mount for mount in ray_container(group)["volumeMounts"] if mount["mountPath"] == "/tmp/ray")  # noqa: S108
        (volume,) = (volume for volume in pod(group)["volumes"] if volume["name"] == mount["name"])
        assert quantity(volume["emptyDir"]["sizeLimit"]) < disk, "logs and temporary files count too"


def test_head_and_workers_have_the_same_environment(job: Part) -> None:
    """All of them read the input; Ray's usage statistics are off in every container."""
    groups = [ray_container(group) for group in (head(job), *workers(job))]
    for group in groups[1:]:
        assert (group["env"], group["envFrom"]) == (groups[0]["env"], groups[0]["envFrom"])
    for container in containers(job):
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]


def test_pods_keep_the_restricted_pod_security_standard(job: Part) -> None:
    """A namespace that enforces it takes them, with the containers that KubeRay adds by the same settings."""
    for spec in pods(job):
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        assert not [volume for volume in spec.get("volumes", ()) if set(volume) & {"hostPath"}]
    for container in containers(job):
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert job["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


def test_no_secret_is_in_the_example(job: Part) -> None:
    """Secrets are named; who runs the example makes them."""
    assert set(documents()) == {"ConfigMap", "RayJob"}
    for container in containers(job):
        assert all("valueFrom" in variable or variable["name"].startswith("RAY_") for variable in container["env"])
    for path in FOLDER.iterdir():
        assert KEYS.findall(path.read_text()) == [], path.name


def test_the_readme_makes_what_the_manifest_names(job: Part) -> None:
    """Its commands create the secrets, build the image and watch the job."""
    (config,) = (
        source["secret"]
        for volume in pod(head(job))["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        if "secret" in source
    )
    (credentials,) = ray_container(head(job))["envFrom"]
    assert f"kubectl create secret generic {config['name']} --from-file={config['items'][0]['key']}\n" in README
    assert f"kubectl create secret generic {credentials['secretRef']['name']} --from-env-file=" in README
    image = ray_container(head(job))["image"]
    assert f"docker build -f examples/ray/Dockerfile -t {image} ." in README
    assert f"docker push {image}\n" in README
    name = job["metadata"]["name"]
    assert set(re.findall(r"kubectl (?:get|patch) rayjob (\S+)|job/(\S+)", README)) == {(name, ""), ("", name)}


def test_what_is_to_be_changed_is_marked() -> None:
    """The list at the top has as many items as there are marks."""
    text = (FOLDER / "rayjob.yaml").read_text()
    listed = re.findall(r"^#   (\d)\. ", text, re.MULTILINE)
    assert sorted(re.findall(r"CHANGE (\d)", text)) == listed == [str(number) for number in range(1, len(listed) + 1)]


CRD: Part = {
    "spec": {
        "group": "ray.io",
        "names": {"kind": "RayJob"},
        "versions": [
            {"name": "v1alpha1"},
            {
                "name": "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "status": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "description": "What is wanted.",
                                "required": ["entrypoint", "mode"],
                                "properties": {
                                    "entrypoint": {"type": "string"},
                                    "mode": {"type": "string", "default": "K8sJobMode"},
                                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                                },
                            },
                        },
                    }
                },
            },
        ],
    }
}


@pytest.mark.parametrize(
    ("spec", "valid"),
    [
        ({"entrypoint": "ls"}, True),
        ({"entrypoint": "ls", "labels": {"any": "text"}}, True),
        ({"mode": "K8sJobMode"}, False),
        ({"entrypoint": "ls", "entryPoint": "ls"}, False),
        ({"entrypoint": "ls", "labels": {"any": 1}}, False),
    ],
)
def test_the_schema_is_the_definitions_but_closed(spec: Part, valid: bool) -> None:
    """Defaults are filled in before what is required is looked for; maps stay open."""
    schema = json.loads(lines(schema_of(CRD, "v0.0.0")))
    manifest = {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": {"name": "job"}, "spec": spec}
    assert jsonschema.Draft202012Validator(schema).is_valid(manifest) is valid


def test_a_part_that_repeats_is_written_once_and_means_the_same() -> None:
    """As the pod templates of head, workers and submitter do."""
    names = ("image", "command", "workingDir")
    part: Part = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "additionalProperties": False,
    }
    listed = {"type": "array", "items": part}
    schema = shared({"type": "object", "properties": {"one": part, "another": part, "many": listed}})
    assert list(schema["$defs"].values()) == [part]
    validator = jsonschema.Draft202012Validator(schema)
    for manifest in ({"one": {"image": 1}}, {"another": {"images": ""}}, {"many": [{"command": 1}]}):
        assert not validator.is_valid(manifest)
    assert validator.is_valid({"one": {"image": ""}, "another": {}, "many": [{"command": ""}]})
