"""What the controller follows of the cluster while it leads: running pods, ServiceAccounts, assignments."""

import time
from collections.abc import Callable, Mapping

from app.access.known import Known
from app.access.pods import Pod, running_pods
from app.assignments import follow
from app.cluster.api import ReadingApi
from app.cluster.kinds import service_accounts
from app.cluster.objects import ServiceAccount
from app.cluster.watch import STALE_SECONDS, Watched
from app.controller.leading import Loop
from app.webhook.assigned import Assigned
from app.webhook.decision import Policy
from app.webhook.rules import Rules

Heard = Callable[[Pod], object]


class Following:
    """Snapshots of pods and ServiceAccounts, and the operator's assignments.

    Attributes:
        pods: those that run.
        assigned: what the operator assigned.
        loops: keep all of it current, by name.
        policy: the operator's choices.
    """

    def __init__(
        self,
        api: ReadingApi,
        *,
        policy: Policy,
        mappings: str | None = None,
        container_credentials: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self.assigned = Assigned(account=policy.defaults.account)
        self._heard: list[Heard] = []
        self._clock = clock
        self.pods: Watched[Pod] = Watched(api, running_pods(policy.vocabulary), changed=self._changed, clock=clock)
        self._accounts: Watched[ServiceAccount] = Watched(api, service_accounts(policy.vocabulary), clock=clock)
        assignments = follow(self.assigned, mappings=mappings, container_credentials=container_credentials, api=api)
        self.loops: Mapping[str, Loop] = {
            "pods": self.pods.run,
            "service_accounts": self._accounts.run,
            **assignments.loops,
        }
        self._ages = assignments.ages

    def listen(self, heard: Heard) -> None:
        """Have *heard* called with every pod that is new or changed. It must not wait."""
        self._heard.append(heard)

    def is_current(self) -> bool:
        """Return whether all of it was heard of a short time ago, so that what is missing is really not there."""
        now = self._clock()
        ages = (self.pods.age(now), self._accounts.age(now), *(age() for age in self._ages.values()))
        return max(ages) <= STALE_SECONDS

    def known(self) -> Known:
        """Return what a decision depends on now."""
        rules = Rules(
            policy=self.policy,
            mappings=self.assigned.mappings,
            container_credentials=self.assigned.container_credentials,
        )
        return Known(find=self._accounts.get, rules=rules)

    def _changed(self, _namespace: str, _name: str, _old: Pod | None, new: Pod | None) -> None:
        if new is not None:
            for heard in self._heard:
                heard(new)
