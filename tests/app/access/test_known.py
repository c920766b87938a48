from app.access.known import Known
from app.cluster.objects import LEFT_OUT
from app.webhook.decision import Policy, Reason
from app.webhook.rules import Rules
from tests.app.access.running import injected, kept


def test_of_a_service_account_that_may_exist_nothing_is_said() -> None:
    """Or the controller would tell whoever made the pod that it is to have no role."""
    known = Known(find=lambda *_: LEFT_OUT, rules=Rules(policy=Policy()))

    judgement = known.judge(kept(injected()))

    assert judgement.drift is None
    assert (judgement.decision.reason, judgement.decision.warnings) == (Reason.SERVICE_ACCOUNT_NOT_FOUND, ())
    assert [request.container for request in judgement.observed.requests] == ["app"]
