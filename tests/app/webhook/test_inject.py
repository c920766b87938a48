import copy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.webhook.identity import Mode
from app.webhook.inject import ConflictError, Injection, MalformedPodError, operations
from tests.app.webhook import aws_webhook
from tests.app.webhook.injections import identity, injected
from tests.builders import ENV, MOUNT, MOUNT_PATH, TOKEN_FILE, VOLUME, container, pod


def test_bare_pod_gets_volume_variables_and_mount() -> None:
    assert injected(pod()) == pod(container(env=ENV, volumeMounts=[MOUNT]), volumes=[VOLUME])


def test_operations_add_one_thing_each_and_touch_nothing_else() -> None:
    before = pod(container(env=[{"name": "A", "value": "1"}], volumeMounts=[]), volumes=[{"name": "v"}])

    assert operations(before, identity(regional_sts=False), injection=Injection()) == [
        {"op": "add", "path": "/spec/volumes/0", "value": VOLUME},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": ENV[1]},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": ENV[2]},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": MOUNT},
    ]


def test_volume_comes_first_and_variables_come_last() -> None:
    other = {"name": "data", "emptyDir": {}}
    mount = {"name": "data", "mountPath": "/data"}
    mine = {"name": "A", "value": "1"}

    assert injected(pod(container(env=[mine], volumeMounts=[mount]), volumes=[other])) == pod(
        container(env=[mine, *ENV], volumeMounts=[mount, MOUNT]), volumes=[VOLUME, other]
    )


def test_null_lists_are_as_good_as_none() -> None:
    before = pod(container(env=None, volumeMounts=None), volumes=None, initContainers=None)

    assert injected(before) == pod(container(env=ENV, volumeMounts=[MOUNT]), volumes=[VOLUME], initContainers=None)


def test_init_containers_and_native_sidecars_get_it_too() -> None:
    init = container("init")
    sidecar = container("sidecar", restartPolicy="Always")

    after = injected(pod(initContainers=[init, sidecar]))

    assert after["spec"]["initContainers"] == [
        init | {"env": ENV, "volumeMounts": [MOUNT]},
        sidecar | {"env": ENV, "volumeMounts": [MOUNT]},
    ]


def test_skipped_container_is_left_alone_whatever_list_it_is_in() -> None:
    before = pod(container("app"), container("proxy"), initContainers=[container("init")])

    after = injected(before, identity(skip_containers=frozenset({"proxy", "init"})))

    assert after["spec"]["containers"][1] == container("proxy")
    assert after["spec"]["initContainers"] == [container("init")]
    assert after["spec"]["containers"][0]["env"] == ENV


def test_only_included_containers_get_something_and_skipped_ones_of_them_do_not() -> None:
    before = pod(container("app"), container("proxy"), initContainers=[container("init"), container("wait")])
    who = identity(include_containers=frozenset({"app", "init", "none"}), skip_containers=frozenset({"init"}))

    assert injected(before, who) == pod(
        container("app", env=ENV, volumeMounts=[MOUNT]),
        container("proxy"),
        initContainers=[container("init"), container("wait")],
        volumes=[VOLUME],
    )


def test_pod_with_none_of_the_included_containers_gets_nothing() -> None:
    assert operations(pod(), identity(include_containers=frozenset()), injection=Injection()) is None


def test_region_of_the_service_account_comes_before_the_default() -> None:
    one = injected(pod(), identity(region="us-east-1"), default_region="eu-west-1")["spec"]["containers"][0]

    assert one["env"][1:3] == [
        {"name": "AWS_DEFAULT_REGION", "value": "us-east-1"},
        {"name": "AWS_REGION", "value": "us-east-1"},
    ]


def test_pod_with_every_container_skipped_gets_nothing() -> None:
    assert operations(pod(), identity(skip_containers=frozenset({"app"})), injection=Injection()) is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"value": "arn:aws:iam::111122223333:role/own"}, id="spelled-out"),
        pytest.param({"valueFrom": {"configMapKeyRef": {"name": "aws", "key": "role"}}}, id="from-elsewhere"),
    ],
)
def test_container_with_its_own_role_arn_keeps_it_and_gets_the_token(value: dict[str, Any]) -> None:
    own = {"name": "AWS_ROLE_ARN"} | value

    assert injected(pod(container(env=[own]))) == pod(
        container(env=[own, ENV[0], ENV[2]], volumeMounts=[MOUNT]), volumes=[VOLUME]
    )


def test_container_whose_role_arn_is_empty_wants_none() -> None:
    own = {"name": "AWS_ROLE_ARN", "value": ""}

    assert injected(pod(container(env=[own]))) == pod(
        container(env=[own, ENV[0]], volumeMounts=[MOUNT]), volumes=[VOLUME]
    )


def test_other_mount_in_our_place_is_a_conflict_for_a_container_with_its_own_role() -> None:
    own = [{"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::111122223333:role/own"}]
    before = pod(container(env=own, volumeMounts=[{"name": "secrets", "mountPath": MOUNT_PATH}]))

    with pytest.raises(ConflictError, match=r"^mount volume \"secrets\" of container \"app\" elsewhere: "):
        operations(before, identity(), injection=Injection())


def test_container_that_has_everything_is_left_alone() -> None:
    everything = [
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/own/token"},
        {"name": "AWS_REGION", "value": ""},
        {"name": "AWS_STS_REGIONAL_ENDPOINTS", "valueFrom": {}},
    ]

    assert injected(pod(container(env=everything))) == pod(container(env=everything), volumes=[VOLUME])


def test_region_is_added_as_a_pair_or_not_at_all() -> None:
    region = [{"name": "AWS_DEFAULT_REGION", "value": "eu-west-1"}, {"name": "AWS_REGION", "value": "eu-west-1"}]
    own = {"name": "AWS_REGION", "value": "us-east-1"}

    after = injected(pod(container("a"), container("b", env=[own])), default_region="eu-west-1")

    assert [one["env"] for one in after["spec"]["containers"]] == [[ENV[0], *region, *ENV[1:]], [own, *ENV]]


def test_further_variables_come_last_and_only_where_absent() -> None:
    own = {"name": "AWS_CA_BUNDLE", "value": "/own.pem"}
    environment = {"AWS_ENDPOINT_URL": "https://s3.example", "AWS_CA_BUNDLE": "/ca.pem"}

    after = injected(pod(container("a"), container("b", env=[own])), environment=environment)

    endpoint = {"name": "AWS_ENDPOINT_URL", "value": "https://s3.example"}
    assert [one["env"] for one in after["spec"]["containers"]] == [
        [*ENV, endpoint, {"name": "AWS_CA_BUNDLE", "value": "/ca.pem"}],
        [own, *ENV, endpoint],
    ]


def test_other_mount_path_is_used_for_mount_and_variable() -> None:
    one = injected(pod(), token_mount_path="/aws")["spec"]["containers"][0]

    assert one["env"][2]["value"] == "/aws/token"
    assert one["volumeMounts"][0]["mountPath"] == "/aws"


def test_second_injection_adds_nothing() -> None:
    once = injected(pod(container("a"), container("b"), initContainers=[container("c")]))

    assert operations(once, identity(), injection=Injection()) == []


def test_container_that_another_webhook_adds_later_gets_it_too() -> None:
    once = injected(pod(container("a")))
    once["spec"]["containers"].append(container("late"))

    assert injected(once)["spec"]["containers"][1] == container("late", env=ENV, volumeMounts=[MOUNT])


@pytest.mark.parametrize(
    ("before", "message"),
    [
        pytest.param(
            pod(container(volumeMounts=[{"name": "secrets", "mountPath": MOUNT_PATH + "/"}])),
            f'mount volume "secrets" of container "app" elsewhere: {MOUNT_PATH} is for the token',
            id="place-taken",
        ),
        pytest.param(
            pod(container(volumeMounts=[{"name": "secrets", "mountPath": TOKEN_FILE}])),
            f'mount volume "secrets" of container "app" elsewhere: {MOUNT_PATH} is for the token',
            id="token-covered",
        ),
        pytest.param(
            pod(container(volumeMounts=[MOUNT | {"subPath": "x"}])),
            f'mount volume "aws-iam-token" of container "app" elsewhere: {MOUNT_PATH} is for the token',
            id="part-of-the-volume",
        ),
        pytest.param(
            pod(container(volumeDevices=[{"name": "disk", "devicePath": MOUNT_PATH}])),
            f'mount volume "disk" of container "app" elsewhere: {MOUNT_PATH} is for the token',
            id="device",
        ),
    ],
)
def test_what_is_not_ours_is_never_taken_for_ours(before: dict[str, Any], message: str) -> None:
    with pytest.raises(ConflictError) as caught:
        operations(before, identity(), injection=Injection())

    assert str(caught.value) == message


def test_our_volume_mounted_elsewhere_is_mounted_in_our_place_too() -> None:
    elsewhere = MOUNT | {"mountPath": "/elsewhere"}

    after = injected(pod(container(volumeMounts=[elsewhere])))

    assert after["spec"]["containers"][0]["volumeMounts"] == [elsewhere, MOUNT]


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param({"emptyDir": {}}, id="of-another-kind"),
        pytest.param({"projected": None}, id="of-no-kind"),
        pytest.param(
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}, id="token-for-the-cluster"
        ),
        pytest.param(
            {"projected": {"sources": [{"serviceAccountToken": {"path": "token", "audience": "vault"}}]}},
            id="token-for-others",
        ),
    ],
)
def test_volume_of_our_name_that_is_not_ours_stays_and_ours_takes_another_name(foreign: dict[str, Any]) -> None:
    taken = {"name": "aws-iam-token"} | foreign
    mount = {"name": "aws-iam-token", "mountPath": "/data"}

    after = injected(pod(container(volumeMounts=[mount]), volumes=[taken]))

    assert after == pod(
        container(env=ENV, volumeMounts=[mount, MOUNT | {"name": "aws-iam-token-irsa"}]),
        volumes=[VOLUME | {"name": "aws-iam-token-irsa"}, taken],
    )
    assert operations(after, identity(), injection=Injection()) == []


def test_other_names_are_numbered_and_known_again_when_the_first_is_free() -> None:
    taken: list[dict[str, Any]] = [{"name": name, "emptyDir": {}} for name in ("aws-iam-token", "aws-iam-token-irsa")]
    after = injected(pod(container("a"), volumes=taken))
    assert after["spec"]["volumes"] == [VOLUME | {"name": "aws-iam-token-irsa-2"}, *taken]

    del after["spec"]["volumes"][1:]
    after["spec"]["containers"].append(container("late"))

    late = container("late", env=ENV, volumeMounts=[MOUNT | {"name": "aws-iam-token-irsa-2"}])
    assert injected(after)["spec"]["containers"][1] == late


def test_no_volume_takes_another_name_where_no_container_would_read_it() -> None:
    foreign = {"name": "aws-iam-token", "emptyDir": {}}
    own = [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/own"}]

    assert injected(pod(container(env=own), volumes=[foreign])) == pod(container(env=[*own, ENV[0]]), volumes=[foreign])


def test_variable_that_the_operator_gives_is_not_given_twice() -> None:
    one = injected(pod(), environment={"AWS_STS_REGIONAL_ENDPOINTS": "legacy"})["spec"]["containers"][0]

    assert one["env"] == [*ENV[1:], {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "legacy"}]


def test_pod_with_more_containers_than_any_node_runs_is_malformed() -> None:
    with pytest.raises(MalformedPodError, match=r"^write at most 1000 containers, got more$"):
        operations(pod(*[container(f"c{n}") for n in range(1001)]), identity(), injection=Injection())


def test_own_token_in_our_place_serves_a_container_with_its_own_variables() -> None:
    own = [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": TOKEN_FILE}]
    mount = {"name": "own", "mountPath": MOUNT_PATH}

    after = injected(pod(container(env=own, volumeMounts=[mount])))

    assert after["spec"]["containers"] == [container(env=[*own, ENV[0]], volumeMounts=[mount])]


@pytest.mark.parametrize(
    ("before", "message"),
    [
        pytest.param({}, "write an object at /spec, got nothing", id="no-spec"),
        pytest.param({"spec": {}}, "write containers at /spec/containers, got none", id="no-containers"),
        pytest.param({"spec": []}, "write an object at /spec, got an array", id="spec-array"),
        pytest.param(pod() | {"spec": {"containers": 1}}, "write an array at /spec/containers, got a number", id="int"),
        pytest.param(pod(env={}, volumes="x"), "write an array at /spec/volumes, got a string", id="volumes"),
        pytest.param(
            {"spec": {"containers": [None]}},
            "write objects with a string as name in /spec/containers",
            id="null-container",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": ["x"]}]}},
            "write objects with a string as name in /spec/containers",
            id="list-as-name",
        ),
        pytest.param(
            pod(container(env=[{"value": "x"}])),
            "write objects with a string as name in /spec/containers/0/env",
            id="nameless-variable",
        ),
        pytest.param(
            pod(container(volumeMounts=[7])),
            "write objects with a string as name in /spec/containers/0/volumeMounts",
            id="number-as-mount",
        ),
    ],
)
def test_wrong_types_are_named_with_their_place(before: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedPodError) as caught:
        operations(before, identity(), injection=Injection())

    assert str(caught.value) == message


# No AWS_ROLE_ARN with a value: what a container with its own role gets is not what the AWS webhook gives it.
VARIABLES = st.sampled_from(
    [
        {"name": "AWS_ROLE_ARN", "value": ""},
        {"name": "AWS_CONTAINER_CREDENTIALS_FULL_URI", "value": "http://localhost/"},
        {"name": "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"},
        {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "AWS_REGION", "value": ""},
        {"name": "AWS_DEFAULT_REGION"},
        {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "legacy"},
        {"name": "OTHER", "value": "x"},
    ]
)
MOUNTS = st.sampled_from([MOUNT, {"name": "data", "mountPath": "/data", "newerThanUs": {"x": [1]}}])
VOLUMES = st.sampled_from([VOLUME, {"name": "data", "emptyDir": {}, "newerThanUs": None}])


def lists(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.lists(items, max_size=4, unique_by=lambda item: item["name"]))


@st.composite
def containers(draw: st.DrawFn, *, smallest: int) -> list[dict[str, Any]]:
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=smallest, max_size=3, unique=True))
    return [
        container(name, env=draw(lists(VARIABLES)), volumeMounts=draw(lists(MOUNTS)), newerThanUs={"port": 1})
        for name in names
    ]


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    spec: dict[str, Any] = {"volumes": draw(lists(VOLUMES)), "newerThanUs": [1, {"y": None}]}
    if draw(st.booleans()):
        spec["nodeSelector"] = {"kubernetes.io/os": draw(st.sampled_from(["linux", "windows"]))}
    if draw(st.booleans()):
        spec["initContainers"] = draw(containers(smallest=0))
    made = pod(*draw(containers(smallest=1)), **spec)
    made["metadata"] |= draw(st.sampled_from([{}, {"labels": None}, {"labels": {}}, {"labels": {"app": "shop"}}]))
    return made


@given(
    pods(), st.sampled_from(Mode), st.booleans(), st.sampled_from([None, "eu-west-1"]), st.sets(st.sampled_from("ab"))
)
def test_patched_pod_is_the_one_that_the_aws_webhook_makes(
    before: dict[str, Any], mode: Mode, regional: bool, region: str | None, skipped: set[str]
) -> None:
    who = identity(mode=mode, regional_sts=regional, skip_containers=frozenset(skipped))
    original = copy.deepcopy(before)

    added = operations(before, who, injection=Injection(default_region=region))

    assert before == original
    if added is not None:
        after = jsonpatch.apply_patch(before, added)
        assert after == aws_webhook.mutated(before, who, region=region)
        assert operations(after, who, injection=Injection(default_region=region)) == []
