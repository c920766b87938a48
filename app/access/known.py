"""All that a decision depends on besides the pod, and the webhook's decision by it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.access.drift import Judgement, judge
from app.access.pods import Pod
from app.cluster.objects import UNANNOTATED, ServiceAccount
from app.webhook.container_credentials import NO_IDENTITIES, Identities
from app.webhook.decision import Decision, Policy, Subject, decide, identify_subject
from app.webhook.identity import Identified
from app.webhook.inject import Object
from app.webhook.mappings import NO_MAPPINGS, Mappings

MAX_JUDGEMENTS: Final = 1024
"""Of one moment, 5 MB. Lists and snapshots come sorted, so that replicas come one behind the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a cluster at one moment.

    Attributes:
        find: returns the ServiceAccount of a namespace and name, None where there is none.
        policy: the operator's choices, the same as the webhook's.
        mappings: the operator's map of ServiceAccounts to roles.
        container_credentials: the ServiceAccounts of container-credentials mode.
    """

    find: Callable[[str, str], ServiceAccount | None]
    policy: Policy
    mappings: Mappings = NO_MAPPINGS
    container_credentials: Identities = NO_IDENTITIES

    def judge(self, pod: Pod) -> Judgement:
        """Return how *pod* stands to what it would get today."""
        service_account = self.find(pod.namespace, pod.service_account)

        def decided(subject: Subject, document: Callable[[], Object]) -> Decision:
            return decide(
                subject,
                service_account,
                pod=document,
                policy=self.policy,
                mappings=self.mappings,
                container_credentials=self.container_credentials,
            )

        return judge(pod, decided)

    def identified(self, namespace: str, service_account: str) -> Identified:
        """Return the identity that pods of a ServiceAccount get, unless their own annotations say more."""
        return identify_subject(
            Subject(namespace=namespace, service_account=service_account),
            self.find(namespace, service_account) or UNANNOTATED,
            policy=self.policy,
            mappings=self.mappings,
            container_credentials=self.container_credentials,
        )


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
