from pathlib import Path

import pytest

from app.cluster.client import KubernetesApi
from app.cluster.configuration import Load, configured, from_kubeconfig, in_cluster, own_namespace
from app.errors import ConfigurationError

pytestmark = pytest.mark.anyio

KUBECONFIG = """
current-context: here
clusters: [{name: local, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {token: MARKER-TOKEN-THAT-NOBODY-MAY-SEE}}]
contexts: [{name: here, context: {cluster: local, user: me}}]
"""


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        pytest.param(
            "current-context: here", "",
            '"Invalid kube-config file. Expected key current-context in kube-config"',
            id="no-context",
        ),
        pytest.param(
            "current-context: here", "current-context: there",
            '"Invalid kube-config file. Expected object with name there in kube-config/contexts list"',
            id="context-that-is-not-there",
        ),
        pytest.param(
            "user: {token", "person: {token",
            '"Invalid kube-config file. Expected key user in kube-config/users[name=me]"',
            id="user-without-user",
        ),
        pytest.param(
            "users: [", "users: [MARKER-TOKEN-THAT-NOBODY-MAY-SEE, ",
            '"Invalid kube-config file. Expected all values in kube-config/users list to have \'name\' key"',
            id="user-without-name",
        ),
        pytest.param(
            "users: [", "users: [7, ",
            "expected clusters, users and contexts as kubectl writes them, got something else",
            id="user-that-is-a-number",
        ),
        pytest.param(
            "cluster: {server", "cluster: {sever",
            "expected server to be https://HOST[:PORT], got something else",
            id="no-server",
        ),
        pytest.param(
            "http://", "http://me:MARKER-TOKEN-THAT-NOBODY-MAY-SEE@",
            "expected server to be https://HOST[:PORT], got something else",
            id="credentials-in-the-url",
        ),
        pytest.param(KUBECONFIG, "- a list", "expected one YAML mapping, got something else", id="list"),
        pytest.param(KUBECONFIG, "", "expected one YAML mapping, got something else", id="empty"),
    ],
)  # fmt: skip
async def test_kubeconfig_that_cannot_be_used(tmp_path: Path, before: str, after: str, message: str) -> None:
    file = tmp_path / "kubeconfig"
    assert before in KUBECONFIG
    file.write_text(KUBECONFIG.replace(before, after))

    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(from_kubeconfig(file)):
            pass

    assert str(caught.value) == f"kubeconfig {file}: {message}"


async def test_kubeconfig_with_a_slip_names_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("clusters: [\nusers: MARKER: x")

    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(from_kubeconfig(file)):
            pass

    assert str(caught.value) == f"{file}:2:14: cannot be read as YAML: expected ',' or ']', but got ':'"


async def test_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(from_kubeconfig(tmp_path / "none")):
            pass

    assert str(caught.value) == f"kubeconfig {tmp_path}/none: expected a readable file, got: No such file or directory"


async def test_certificates_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    (tmp_path / "ca.crt").write_text("no certificate")
    file.write_text(KUBECONFIG.replace("server", "certificate-authority: ca.crt, server").replace("http:", "https:"))

    with pytest.raises(ConfigurationError, match=r"^expected CA and client certificate as PEM files that fit, got "):
        async with KubernetesApi(from_kubeconfig(file)):
            pass


async def test_outside_of_a_pod_without_a_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        async with KubernetesApi(in_cluster({}, mounted=tmp_path)):
            pass

    assert str(caught.value) == (
        "expected to run in a pod with a ServiceAccount token, or --kubeconfig FILE, got neither: "
        '"Service host/port is not set."'
    )


def kubeconfig(file: Path, *, name: str, context: str = "") -> Path:
    """Write a kubeconfig whose cluster, user and context are called *name*, with a token file beside it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    (file.parent / "token").write_text(f"token-of-{name}")
    file.write_text(
        f"current-context: {context or name}\n"
        f"clusters: [{{name: {name}, cluster: {{server: 'http://{name}.example:1'}}}}]\n"
        f"users: [{{name: {name}, user: {{tokenFile: token}}}}]\n"
        f"contexts: [{{name: {name}, context: {{cluster: {name}, user: {name}}}}}]\n"
    )
    return file


async def found(load: Load) -> tuple[str, str]:
    """Return where the API is, and the credentials."""
    configuration = await load()
    return configuration.host, configuration.api_key["BearerToken"]


async def test_file_that_was_named_comes_before_the_environment(tmp_path: Path) -> None:
    given = kubeconfig(tmp_path / "given" / "config", name="given")
    environ = {"KUBECONFIG": str(kubeconfig(tmp_path / "env" / "config", name="env")), "HOME": str(tmp_path)}

    assert await found(configured(given, environ)) == ("http://given.example:1", "Bearer token-of-given")


async def test_environment_comes_before_the_home_folder(tmp_path: Path) -> None:
    kubeconfig(tmp_path / ".kube" / "config", name="home")
    environ = {"KUBECONFIG": str(kubeconfig(tmp_path / "env" / "config", name="env")), "HOME": str(tmp_path)}

    assert await found(configured(None, environ)) == ("http://env.example:1", "Bearer token-of-env")


async def test_home_folder_comes_before_the_pod(tmp_path: Path) -> None:
    kubeconfig(tmp_path / ".kube" / "config", name="home")

    host, _ = await found(configured(None, {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": "10.96.0.1"}))

    assert host == "http://home.example:1"


async def test_without_any_file_it_must_be_a_pod(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^expected to run in a pod with a ServiceAccount token, or --kubecon"
    ):
        await configured(None, {"HOME": str(tmp_path)})()


async def test_several_files_count_together_and_the_first_one_first(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "first" / "config", name="first", context="second")
    second = kubeconfig(tmp_path / "second" / "config", name="second", context="first")
    environ = {"KUBECONFIG": f"{first}::{tmp_path}/none:{second}"}

    # The token file is the one beside the file that names it.
    assert await found(configured(None, environ)) == ("http://second.example:1", "Bearer token-of-second")


async def test_variable_whose_files_are_not_there_names_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=f"^kubeconfig {tmp_path}/none: expected a readable file, got: No such"
    ):
        await configured(None, {"KUBECONFIG": f"{tmp_path}/none:{tmp_path}/neither"})()


@pytest.mark.parametrize(
    "content", ["clusters: 7", "clusters: [7, {}, {name: x}]", "users: [{name: x, user: 7}]", "{}"]
)
async def test_one_of_several_files_that_makes_no_sense_is_no_crash(tmp_path: Path, content: str) -> None:
    odd = tmp_path / "odd"
    odd.write_text(content)
    good = kubeconfig(tmp_path / "good" / "config", name="good")

    assert (await found(from_kubeconfig(odd, good)))[0] == "http://good.example:1"


async def test_pod_knows_its_namespace_and_others_are_told_how_to_name_one(tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("irsa-system\n")

    assert own_namespace(mounted=tmp_path) == "irsa-system"
    with pytest.raises(ConfigurationError) as caught:
        own_namespace(mounted=tmp_path / "nowhere")
    file = tmp_path / "nowhere" / "namespace"
    assert str(caught.value) == (
        f"expected to run in a pod, whose namespace is in {file}, or --namespace NAME, got neither"
    )
