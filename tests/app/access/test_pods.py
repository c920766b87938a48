import json
from functools import partial
from typing import Any

import msgspec
import pytest

from app.access.owners import Controller, Owner
from app.access.pods import LEGACY_ROLE, MAX_SPEC_CHARACTERS, Document, Pod, running_pod, running_pods
from app.cluster.objects import MAX_OTHERS, bytes_of
from app.webhook.annotations import Vocabulary
from app.webhook.decision import Policy, Subject, decide
from app.webhook.inject import MalformedPodError
from app.webhook.plan import CONFIG_ANNOTATION
from tests.app.access.running import CREATED, OWNER_UID, POD_UID, decoded, injected, kept, running
from tests.builders import ENV, MOUNT, VOLUME, annotated, container, pod

SECRETS = [
    {"name": "AWS_SECRET_ACCESS_KEY", "value": "MARKER-1"},
    {"name": "DATABASE_URL", "value": "postgres://u:MARKER-2@db"},
    {"name": "HTTPS_PROXY", "value": "http://u:MARKER-3@proxy"},
]


def test_all_that_is_kept_of_a_pod() -> None:
    document = pod(
        container(
            env=[*SECRETS, *ENV], volumeMounts=[MOUNT, {"name": "kube-api-access-8xk2p", "mountPath": "/var/run"}]
        ),
        annotations={"eks.amazonaws.com/skip-containers": "x", "other": "y", "iam.amazonaws.com/role": "legacy"},
        volumes=[
            VOLUME,
            {"name": "kube-api-access-8xk2p", "projected": {"sources": []}},
            {"name": "tmp", "emptyDir": {}},
        ],
        nodeSelector={"kubernetes.io/os": "linux", "pool": "spot"},
        tolerations=[{"operator": "Exists"}],
    )

    found = kept(document)

    assert found == Pod(
        namespace="shop",
        name="api-7d4b9c8f6d-x2x4z",
        generate_name="api-7d4b9c8f6d-",
        uid=POD_UID,
        created=1_795_600_800.0,
        service_account="app",
        labels={},
        annotations={"eks.amazonaws.com/skip-containers": "x", "iam.amazonaws.com/role": "legacy"},
        controller=Controller(api_version="apps/v1", kind="ReplicaSet", name="api-7d4b9c8f6d", uid=OWNER_UID),
        owner=Owner(kind="Deployment", name="api"),
        spec=found.spec,
    )
    assert json.loads(found.spec) == {
        "serviceAccountName": "app",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [
            {
                "name": "app",
                "env": [
                    {"name": "AWS_SECRET_ACCESS_KEY"},
                    {"name": "HTTPS_PROXY"},
                    {"name": "AWS_STS_REGIONAL_ENDPOINTS"},
                    *ENV[1:],
                ],
                "volumeMounts": [MOUNT, {"name": "kube-api-access-", "mountPath": "/var/run"}],
            }
        ],
        "volumes": [VOLUME, {"name": "kube-api-access-"}, {"name": "tmp"}],
    }
    assert "MARKER" not in repr(found)


def test_document_is_the_pod_before_the_api_named_it() -> None:
    document = kept(injected(annotations={"eks.amazonaws.com/skip-containers": "x"})).document()

    assert document["kind"] == "Pod"
    assert document["metadata"] == {
        "generateName": "api-7d4b9c8f6d-",
        "namespace": "shop",
        "annotations": {"eks.amazonaws.com/skip-containers": "x"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "api-7d4b9c8f6d",
                "uid": OWNER_UID,
                "controller": True,
            }
        ],
    }


@pytest.mark.parametrize(
    ("name", "generate_name", "metadata"),
    [
        pytest.param("api-x2x4z", "api-", {"generateName": "api-"}, id="made by the API"),
        pytest.param("a" * 58 + "x2x4z", "a" * 63 + "-", {"generateName": "a" * 63 + "-"}, id="cut by the API"),
        pytest.param("web-0", "web-", {"name": "web-0"}, id="StatefulSet"),
        pytest.param("debug", "", {"name": "debug"}, id="by hand"),
    ],
)
def test_name_that_the_api_made_was_not_there_at_admission(
    name: str, generate_name: str, metadata: dict[str, str]
) -> None:
    document = kept(pod(), name=name, generateName=generate_name, ownerReferences=[]).document()

    assert document["metadata"] == {**metadata, "namespace": "shop"}


def test_replicas_share_their_spec() -> None:
    one, two = (kept(injected(), name=f"api-7d4b9c8f6d-{end}", uid=end) for end in ("bbbbb", "ccccc"))

    assert one.spec is two.spec


@pytest.mark.parametrize(
    ("document", "fate"),
    [
        pytest.param(running(pod(), phase="Succeeded"), "ended", id="succeeded"),
        pytest.param(running(pod(), phase="Failed"), "ended", id="failed"),
        pytest.param(running(pod(), deletionTimestamp=CREATED), "going", id="terminating"),
        pytest.param(running(pod(), annotations={"kubernetes.io/config.mirror": "x"}), "static", id="mirror"),
    ],
)
def test_pod_that_does_not_run_is_not_kept(document: dict[str, Any], fate: str) -> None:
    assert fate
    assert running_pod(decoded(document), Vocabulary()) is None


def test_pending_pod_is_kept() -> None:
    assert running_pod(decoded(running(pod(), phase="Pending")), Vocabulary()) is not None


def test_of_a_pod_with_annotations_without_number_a_bounded_part_is_kept() -> None:
    near = {f"eks.amazonaws.com/{number:04}{'a' * 200}": "x" for number in range(1_000)}
    near |= {f"eks.amaz{number:03}.com/role-arn": "x" for number in range(200)}
    long = dict.fromkeys((*Vocabulary().longest(), LEGACY_ROLE, CONFIG_ANNOTATION), "🎉" * 60000)

    found = kept(pod(annotations=near | long))

    assert found.annotations.keys() >= long.keys()
    assert len(found.annotations) == len(long) + MAX_OTHERS
    assert sum(bytes_of(key) + bytes_of(value) for key, value in found.annotations.items()) < 45_000


def test_spec_of_which_each_character_takes_four_bytes_is_kept_to_a_quarter() -> None:
    emoji = {"name": "NO_PROXY", "value": "\N{PARTY POPPER}" + "a" * (MAX_SPEC_CHARACTERS // 4)}
    ascii_only = {"name": "NO_PROXY", "value": "a" * (MAX_SPEC_CHARACTERS // 2)}

    assert kept(pod(container(env=[emoji]))).spec == ""
    assert kept(pod(container(env=[ascii_only]))).spec != ""


def test_spec_of_a_pod_that_is_made_to_cost_is_not_kept() -> None:
    containers = [container(f"c{number}", env=[{"name": f"AWS_{'X' * 200}"}]) for number in range(200)]

    found = kept(pod(*containers))

    assert found.spec == ""
    with pytest.raises(
        MalformedPodError, match=f"^write a spec of at most {MAX_SPEC_CHARACTERS} characters, got more$"
    ):
        found.document()


def test_decision_on_what_is_kept_is_the_decision_on_the_pod() -> None:
    documents = [
        pod(container(), container("sidecar", env=[{"name": "AWS_ROLE_ARN", "value": "own"}])),
        pod(container(volumeMounts=[{"name": "mine", "mountPath": MOUNT["mountPath"]}]), volumes=[{"name": "mine"}]),
        pod(volumes=[{"name": "aws-iam-token", "secret": {"secretName": "x"}}]),
        pod(os={"name": "windows"}),
        pod(nodeSelector={"kubernetes.io/os": "windows"}),
        pod(container(volumeDevices=[{"name": "disk", "devicePath": MOUNT["mountPath"]}])),
        pod(initContainers=[container("init", env=ENV)]),
        pod(container(env=[{"name": "AWS_REGION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}])),
        injected(),
    ]
    for document in documents:
        subject = Subject(namespace="shop", service_account="app")
        of_all, of_kept = (
            decide(subject, annotated(), pod=partial(dict, read), policy=Policy())
            for read in (running(document), kept(document).document())
        )
        assert of_all.reason == of_kept.reason
        assert [dict(one, path=_end(one)) for one in of_all.operations] == [
            dict(one, path=_end(one)) for one in of_kept.operations
        ]


def _end(operation: dict[str, Any]) -> str:
    return str(operation["path"]).removesuffix("/-")


def test_a_namespace_is_asked_for_alone() -> None:
    assert running_pods(Vocabulary()).collection.path == "/api/v1/pods"
    assert running_pods(Vocabulary(), namespace="shop").collection.path == "/api/v1/namespaces/shop/pods"


def test_unknown_fields_are_passed_over() -> None:
    document = {**running(pod(future={"a": [1]})), "future": 1}

    assert msgspec.json.decode(json.dumps(document).encode(), type=Document).metadata.name == "api-7d4b9c8f6d-x2x4z"
