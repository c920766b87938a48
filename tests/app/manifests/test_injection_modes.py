"""What only some identities add, in the text of a manifest."""

from textwrap import dedent

import jsonpatch
import pytest
from ruamel.yaml import YAML

from app.manifests.patching import patched_yaml
from app.webhook.identity import Identity
from app.webhook.inject import Injection, operations
from app.webhook.profiles import Profile
from tests.app.webhook.injections import endpoint_identity, identity

PROFILES = identity(profiles=(Profile(name="audit", role_arn="arn:aws:iam::444455556666:role/audit"),))
SPEC = "spec:\n  containers:\n  - name: a\n    env: []\n"


LABEL = "    eks.amazonaws.com/pod-identity: enabled"


def added(text: str, who: Identity) -> list[str]:
    """Return the lines that are new in *text* after the injection, and see that it reads as what was decided."""
    text = dedent(text)
    value = YAML(typ="safe").load(text)
    decided = operations(value, who, injection=Injection())
    assert decided
    after = patched_yaml(text, value, decided)
    assert YAML(typ="safe").load(after) == jsonpatch.apply_patch(value, decided)
    before = text.splitlines()
    return [line for line in after.splitlines() if line not in before]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param("metadata:\n  labels:\n    app: x\n", [LABEL], id="labels"),
        pytest.param(
            "metadata:\n  name: a\n", ["  labels:", LABEL], id="no-labels"
        ),
        pytest.param(
            "metadata:\n  labels:\n", [LABEL], id="null-labels"
        ),
        pytest.param("metadata:\n  labels: {}\n", ["  labels: {eks.amazonaws.com/pod-identity: enabled}"], id="braces"),
        pytest.param(
            "", ["metadata:", "  labels:", LABEL], id="no-metadata"
        ),
        pytest.param(
            "metadata: # none\n",
            ["  labels:", LABEL],
            id="null-metadata",
        ),
        pytest.param(
            "metadata:\n  labels:\n    eks.amazonaws.com/pod-identity: 'off' # who?\n",
            [f"{LABEL} # who?"],
            id="another-value",
        ),
    ],
)  # fmt: skip
def test_label_of_container_credentials_goes_to_the_labels(metadata: str, expected: list[str]) -> None:
    new = added(metadata + SPEC, endpoint_identity())

    assert [line for line in new if line in expected] == expected


def test_completed_no_proxy_stands_where_it_stood() -> None:
    new = added(
        """\
        spec:
          containers:
          - name: a
            env:
            - name: HTTP_PROXY
              value: http://proxy
            - name: NO_PROXY
              value: .svc # ours
            - {name: no_proxy, value: '.svc'}
        """,
        endpoint_identity(),
    )

    assert [line for line in new if "svc" in line] == [
        '      value: ".svc,169.254.170.23" # ours',
        '    - {name: no_proxy, value: ".svc,169.254.170.23"}',
    ]


def test_aws_config_file_is_one_line_among_the_annotations() -> None:
    new = added("metadata:\n  annotations:\n    a: b\n" + SPEC, PROFILES)

    file = "web_identity_token_file = /var/run/secrets/eks.amazonaws.com/serviceaccount/token"
    default = rf"[default]\nrole_arn = arn:aws:iam::111122223333:role/shop\n{file}"
    audit = rf"[profile audit]\nrole_arn = arn:aws:iam::444455556666:role/audit\n{file}"
    assert [line for line in new if "irsa/aws-config:" in line] == [
        rf'    irsa/aws-config: "{default}\n\n{audit}\n"',
    ]
