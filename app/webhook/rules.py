"""Everything the operator chose that a decision depends on, and the decisions by it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from app.cluster.objects import ServiceAccount
from app.webhook.annotations import Vocabulary
from app.webhook.container_credentials import NO_IDENTITIES, Identities
from app.webhook.decision import Decision, Policy, Subject, decide, identify_subject
from app.webhook.identity import Identified
from app.webhook.inject import Object
from app.webhook.mappings import NO_MAPPINGS, Mappings


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the operator chose.

    Attributes:
        policy: by flags; the same as the webhook's.
        mappings: the operator's map of ServiceAccounts to roles.
        container_credentials: the ServiceAccounts of container-credentials mode.
    """

    policy: Policy
    mappings: Mappings = NO_MAPPINGS
    container_credentials: Identities = NO_IDENTITIES

    @property
    def vocabulary(self) -> Vocabulary:
        """The annotations' names."""
        return self.policy.vocabulary

    def decide(
        self, subject: Subject, service_account: ServiceAccount | None, *, pod: Callable[[], Object]
    ) -> Decision:
        """Return what the webhook would say to a pod of *subject*."""
        return decide(
            subject,
            service_account,
            pod=pod,
            policy=self.policy,
            mappings=self.mappings,
            container_credentials=self.container_credentials,
        )

    def identify(self, subject: Subject, service_account: ServiceAccount) -> Identified:
        """Return the identity of pods of *subject*."""
        return identify_subject(
            subject,
            service_account,
            policy=self.policy,
            mappings=self.mappings,
            container_credentials=self.container_credentials,
        )
