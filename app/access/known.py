"""All that a decision depends on besides the pod, and the webhook's decision by it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.access.drift import Judgement, judge
from app.access.observed import observe
from app.access.pods import Pod
from app.cluster.objects import LEFT_OUT, UNANNOTATED, ServiceAccount
from app.webhook.decision import Decision, Reason, Subject
from app.webhook.identity import Identified
from app.webhook.rules import Rules

MAX_JUDGEMENTS: Final = 1024
"""Of one moment, 5 MB. Lists and snapshots come sorted, so that replicas come one behind the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a cluster at one moment.

    Attributes:
        find: returns the ServiceAccount of a namespace and name, None where there is none, ``LEFT_OUT`` where that is
            not known.
        rules: the operator's choices.
    """

    find: Callable[[str, str], ServiceAccount | None]
    rules: Rules

    def judge(self, pod: Pod) -> Judgement:
        """Return how *pod* stands to what it would get today."""
        service_account = self.find(pod.namespace, pod.service_account)
        if service_account is LEFT_OUT:  # nobody may be told that the pod would get nothing
            decision = Decision(reason=Reason.SERVICE_ACCOUNT_NOT_FOUND)
            return Judgement(observed=observe(pod), decision=decision, drift=None)
        return judge(pod, lambda subject, document: self.rules.decide(subject, service_account, pod=document))

    def identified(self, namespace: str, service_account: str) -> Identified:
        """Return the identity that pods of a ServiceAccount get, unless their own annotations say more."""
        subject = Subject(namespace=namespace, service_account=service_account)
        return self.rules.identify(subject, self.find(namespace, service_account) or UNANNOTATED)


class Judging:
    """Judges many pods by what is known at one moment.

    Replicas, which are alike in all that a decision reads, are judged once: of most pods it is the same again.
    """

    def __init__(self, known: Known) -> None:
        self.known = known
        self._judgements: dict[tuple[object, ...], Judgement] = {}

    def judge(self, pod: Pod) -> Judgement:
        """Return how *pod* stands to what it would get today."""
        key = (
            pod.namespace,
            pod.service_account,
            pod.spec,
            pod.generate_name or pod.name,
            pod.controller.uid if pod.controller else "",
            *sorted(pod.labels.items()),
            *sorted(pod.annotations.items()),
        )
        found = self._judgements.get(key)
        if found is None:
            if len(self._judgements) >= MAX_JUDGEMENTS:
                self._judgements.clear()
            found = self._judgements[key] = self.known.judge(pod)
        return found
