from pathlib import Path

import pytest

from app.manifests import documents
from app.settings import InjectionSettings
from tests.app.manifests.injecting import POD, SERVICE_ACCOUNT, injected

FIXTURES = Path(__file__).parent / "fixtures"


def cases(suffix: str) -> list[object]:
    return [pytest.param(path, id=path.parent.name) for path in sorted(FIXTURES.glob(f"*/input{suffix}"))]


@pytest.mark.parametrize("path", cases(".*"))
def test_every_document_becomes_what_stands_beside_it(path: Path) -> None:
    expected = path.with_stem("expected").read_bytes()
    notices = path.with_name("notices.txt")

    result = injected(path.read_bytes(), source=path.name)

    assert documents.read(path.read_bytes(), source=path.name).encode(result.text) == expected
    assert list(result.notices) == (notices.read_text().splitlines() if notices.exists() else [])


@pytest.mark.parametrize("path", cases(".*"))
def test_second_injection_adds_nothing(path: Path) -> None:
    expected = path.with_stem("expected").read_bytes()

    again = injected(expected, source=path.name)

    assert documents.read(expected, source=path.name).encode(again.text) == expected


@pytest.mark.parametrize("path", cases(".yaml"))
def test_windows_line_ends_stay_and_new_lines_have_them(path: Path) -> None:
    with_crlf = path.read_bytes().replace(b"\n", b"\r\n")

    assert injected(with_crlf).text.encode() == path.with_stem("expected").read_bytes().replace(b"\n", b"\r\n")


@pytest.mark.parametrize("path", cases(".yaml"))
def test_missing_final_newline_stays_missing(path: Path) -> None:
    assert injected(path.read_bytes().rstrip()).text.encode() == path.with_stem("expected").read_bytes().rstrip()


@pytest.mark.parametrize(("mark", "encoding"), documents.ENCODINGS)
def test_encoding_and_byte_order_mark_stay(mark: bytes, encoding: str) -> None:
    text = SERVICE_ACCOUNT + POD + "  containers:\n  - name: a # é 🎉\n"
    data = mark + text.encode(encoding)

    output = documents.read(data, source="in.yaml").encode(injected(data).text)

    assert output == mark + injected(text).text.encode(encoding)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing but a comment\n",
        "---\n---\n",
        "kind:   ConfigMap\napiVersion: v1\ndata: {on: yes, mode: 0644, no: 1_000}\n...\n",
        "values: of a chart\n",
        "apiVersion: v1\nkind: IPAllowList\nitems: [10.0.0.0/8]\n",
        "kind: [List]\napiVersion: {}\n",
        "1: a key that is no string\n",
    ],
)
def test_what_has_no_pod_passes_through_in_silence(text: str) -> None:
    result = injected(SERVICE_ACCOUNT + text)

    assert (result.text, result.notices) == (SERVICE_ACCOUNT + text, ())


def test_directives_and_document_ends_stay_with_their_documents() -> None:
    pod = POD + "  containers:\n  - name: a\n"
    text = f"{SERVICE_ACCOUNT}{pod}...\n{pod}...\n# between\n%YAML 1.1\n---\n{pod}...\n"
    changed = injected(SERVICE_ACCOUNT + pod).text.removeprefix(SERVICE_ACCOUNT)

    assert (
        injected(text).text == f"{SERVICE_ACCOUNT}{changed}...\n{changed}...\n# between\n%YAML 1.1\n---\n{changed}...\n"
    )


def test_namespace_of_the_flag_is_that_of_whatever_names_none() -> None:
    text = SERVICE_ACCOUNT + POD + "  containers:\n  - name: a\n"
    elsewhere = text.replace("  name: p\n", "  name: p\n  namespace: default\n")

    assert injected(text, namespace="team").text == injected(text).text
    assert injected(elsewhere, namespace="team").text == elsewhere
    assert (
        injected(elsewhere, namespace="team")
        .notices[0]
        .startswith('Pod/p (default): left alone: no manifest has ServiceAccount "default/app"; ')
    )


def test_settings_decide_as_they_do_for_the_webhook() -> None:
    settings = InjectionSettings(
        token_audience="yes",
        token_expiration=3600,
        token_mount_path="/var/run/irsa",
        aws_default_region="eu-central-1",
        sts_regional_endpoint=False,
        env=("AWS_STS_DEBUG=on", "AWS_ENDPOINT_URL_S3=https://s3.example:9000/a#b"),
    )

    result = injected(SERVICE_ACCOUNT + POD + "  containers:\n  - name: a\n", settings=settings)

    assert (
        result.text.removeprefix(SERVICE_ACCOUNT + POD)
        == """\
  containers:
  - name: a
    env:
    - name: AWS_DEFAULT_REGION
      value: eu-central-1
    - name: AWS_REGION
      value: eu-central-1
    - name: AWS_ROLE_ARN
      value: arn:aws:iam::111122223333:role/app
    - name: AWS_WEB_IDENTITY_TOKEN_FILE
      value: /var/run/irsa/token
    - name: AWS_STS_DEBUG
      value: "on"
    - name: AWS_ENDPOINT_URL_S3
      value: "https://s3.example:9000/a#b"
    volumeMounts:
    - name: aws-iam-token
      readOnly: true
      mountPath: /var/run/irsa
  volumes:
  - name: aws-iam-token
    projected:
      sources:
      - serviceAccountToken:
          audience: "yes"
          expirationSeconds: 3600
          path: token
"""
    )


@pytest.mark.parametrize(
    ("pod", "notice"),
    [
        ("spec: 3\n", "write an object at /spec"),
        ("metadata: [p]\nspec: {}\n", "write an object at /metadata"),
        ("spec: {serviceAccountName: 1}\n", "write a string at /spec/serviceAccountName"),
        ("metadata: {annotations: {a/b: yes, c: true}}\nspec: {}\n", "write a string at /metadata/annotations/c"),
        ("metadata: {annotations: 1}\nspec: {}\n", "write an object at /metadata/annotations"),
        ("spec: {containers: {}}\n", "write an array at /spec/containers, got an object"),
        ("spec: {containers: [a]}\n", "write objects with a string as name in /spec/containers"),
    ],
)
def test_pod_of_other_types_than_kubernetes_has_is_left_alone(pod: str, notice: str) -> None:
    text = f"{SERVICE_ACCOUNT.replace('name: app', 'name: default')}kind: Pod\napiVersion: v1\n{pod}"

    result = injected(text)

    assert (result.text, result.notices) == (text, (f"Pod/(no name) (default): {notice}: nothing was injected",))
