"""What one review costs without a server around it: the functions on their own, with timeit."""

import timeit
from collections.abc import Callable
from typing import Final

from app.cluster.objects import UNANNOTATED, ServiceAccount
from app.webhook import review as reviews
from app.webhook.decision import Decision, Policy, Subject, decide
from app.webhook.identity import Identity
from app.webhook.inject import operations
from tests.bench.reviews import CONTAINERS, ROLE_ARN, body
from tests.bench.rows import Row

GROUP: Final = "one review, no server"
MUTATION_MICROSECONDS: Final = 60
DECISION_MICROSECONDS: Final = 20

POLICY: Final = Policy()
ANNOTATED: Final = ServiceAccount({"eks.amazonaws.com/role-arn": ROLE_ARN})


def rows(*, repeat: int) -> list[Row]:
    """Return the rows, each with *repeat* samples."""
    review = reviews.parse(body(7, with_role=True))
    pod = reviews.pod_of(review)
    identity = Identity(role_arn=ROLE_ARN, audience="sts.amazonaws.com", token_expiration=86_400, regional_sts=True)

    def row(what: str, run: Callable[[], object], must: float | None = None) -> Row:
        samples = _microseconds(run, repeat=repeat)
        return Row(group=GROUP, what=what, unit="µs", samples=samples, must=must)

    return [
        row(
            "pure mutation, 7 kB pod with a role",
            lambda: operations(pod, identity, injection=POLICY.injection),
            MUTATION_MICROSECONDS,
        ),
        row(
            "decision, 7 kB pod without a role",
            lambda: _decision(review, UNANNOTATED),
            DECISION_MICROSECONDS,
        ),
        *(
            row(f"bytes to bytes, {kilobytes:2} kB, {name}", _whole(body(kilobytes, with_role=has), service_account))
            for kilobytes in CONTAINERS
            for name, has, service_account in (("role", True, ANNOTATED), ("no role", False, UNANNOTATED))
        ),
    ]


def _decision(review: reviews.Review, service_account: ServiceAccount) -> Decision:
    subject = reviews.subject_of(review)
    assert isinstance(subject, Subject)
    return decide(subject, service_account, pod=lambda: reviews.pod_of(review), policy=POLICY)


def _whole(sent: bytes, service_account: ServiceAccount) -> Callable[[], bytes]:
    def run() -> bytes:
        review = reviews.parse(sent)
        return reviews.answer(review, _decision(review, service_account))

    return run


def _microseconds(run: Callable[[], object], *, repeat: int, seconds: float = 0.02) -> tuple[float, ...]:
    """Return what one call takes, *repeat* times: each the mean of as many calls as fit in about *seconds*."""
    timer = timeit.Timer(run)
    number = max(1, round(seconds / (timer.timeit(100) / 100)))
    return tuple(taken / number * 1e6 for taken in timer.repeat(repeat=repeat, number=number))
