import json
import time

import pytest
from structlog.testing import capture_logs

from app.webhook.assigned import Assigned
from app.webhook.container_credentials import NO_IDENTITIES
from tests.builders import ROLE_ARN

GOOD = {"config": json.dumps({"shop/app": {"RoleARN": ROLE_ARN}})}


def role_of(assigned: Assigned) -> str | None:
    found = assigned.mappings.find("shop", "app")
    return found.role_arn if found else None


def test_content_that_cannot_be_read_leaves_the_last_good_one_in_force() -> None:
    assigned = Assigned()
    assigned.read_mappings(GOOD)
    with capture_logs() as logs:
        assigned.read_mappings({"config": "{"})

    assert role_of(assigned) == ROLE_ARN
    assert [len(problems) for problems in assigned.problems.values()] == [1, 0]
    assert assigned.unreadable == {"mappings"}
    assert [entry["event"] for entry in logs] == ["assignments_read", "assignment_unusable"]
    assigned.read_mappings(GOOD)
    assert not any(assigned.problems.values())
    assert not assigned.unreadable


def test_bad_entry_is_named_and_the_rest_is_in_force() -> None:
    assigned = Assigned()
    entries = {"shop/app": {"RoleARN": ROLE_ARN}, "shop": {"RoleARN": ROLE_ARN}, "shop/null": None}
    assigned.read_mappings({"config": json.dumps(entries)})

    assert role_of(assigned) == ROLE_ARN
    assert [problem.split(":")[0] for problem in assigned.problems["mappings"]] == [
        'write namespace/serviceaccount as the key instead of "shop"',
        'write an object with RoleARN for "shop/null", got nothing',
    ]


def test_what_was_deleted_is_gone() -> None:
    assigned = Assigned()
    assigned.read_mappings(GOOD)
    assigned.read_container_credentials({"config": '{"identities": [{"namespace": "a", "serviceAccount": "b"}]}'})
    assert assigned.container_credentials == {("a", "b")}

    assigned.read_mappings(None)
    assigned.read_container_credentials(None)

    assert role_of(assigned) is None
    assert assigned.container_credentials == NO_IDENTITIES


def merge_bomb() -> str:
    levels = [f"l{n}: &l{n} {{<<: [{', '.join([f'*l{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    return "\n".join(["l0: &l0 {a: b}", *levels])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(merge_bomb(), id="merge-keys-without-end"),
        pytest.param("{" * 65_000, id="nested-without-end"),
        pytest.param(f"? 0x{'f' * 5_000}\n: {{RoleARN: {ROLE_ARN}}}\n", id="key-that-is-a-huge-number"),
        pytest.param(f"shop/app: {{? 0x{'f' * 5_000} : 1}}\n", id="field-that-is-a-huge-number"),
        pytest.param(f"identities: [{{? 0x{'f' * 5_000} : 1}}]\n? 0x{'f' * 5_000}\n: 1\n", id="identities"),
    ],
)
def test_what_is_written_to_stop_us_is_a_problem_and_no_more(text: str) -> None:
    assigned = Assigned()
    assigned.read_mappings(GOOD)
    began = time.process_time()

    assigned.read_mappings({"config": text})
    assigned.read_container_credentials({"config": text})

    assert time.process_time() - began < 2
    assert all(assigned.problems.values())
    assert role_of(assigned) in {ROLE_ARN, None}
