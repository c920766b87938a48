"""The pod that is created without being stored, and what the answer proves. Pure.

It has an annotation in the wrong place on purpose: our webhook, and no other, warns of that, whether it injects
something or not. So the answer tells apart that it was asked, that it injected, and that somebody else did.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.access.observed import Origin, requests_of
from app.doctor.counts import Counts
from app.doctor.findings import Finding, broken, ok, unknown, warning
from app.doctor.record import REQUIRE, WEBHOOK, Installation, Probe, Target, Unread
from app.text import shown
from app.webhook.annotations import Vocabulary
from app.webhook.inject import MalformedPodError

DRY_RUN: Final = "dry-run pod"

MAX_SAID_CHARACTERS: Final = 300

USER: Final = 65_532


def annotations(vocabulary: Vocabulary) -> Mapping[str, str]:
    """Return the annotations of the pod: one that belongs on a ServiceAccount."""
    return {vocabulary.key("role-arn"): "irsa-doctor"}


def expected_warning(vocabulary: Vocabulary) -> str:
    """Return how our webhook's warning on that pod begins."""
    return vocabulary.slips(annotations(vocabulary), "pod")[0]


def pod(target: Target, *, image: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return a pod that the strictest policies admit: restricted pod security, and quotas that want requests."""
    resources = {"cpu": "10m", "memory": "16Mi"}
    container = {
        "name": target.container,
        "image": image,
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "irsa-doctor-", "annotations": dict(annotations(vocabulary))},
        "spec": {
            "serviceAccountName": target.service_account,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }


def was_asked(probe: Probe) -> bool:
    """Return whether our webhook has answered about the pod."""
    has_denied = f'admission webhook "{REQUIRE}" denied' in probe.refusal
    return has_denied or any(text.startswith(probe.expected) for text in probe.warnings)


def injected_role(probe: Probe) -> str | None:
    """Return the role that the pod got, empty where its endpoint decides, None where it got none."""
    if probe.answer is None:
        return None
    try:
        requests = requests_of(dict(probe.answer))
    except MalformedPodError:
        return None
    return next((request.role_arn for request in requests if request.origin is Origin.INJECTED), None)


def dry_run(found: Installation) -> Finding:
    """Return what the dry-run pod has proven."""
    probe = found.probe
    if isinstance(probe, Unread):
        return unknown(DRY_RUN, probe)
    target = probe.target
    whose = f"for ServiceAccount {shown(f'{target.namespace}/{target.service_account}')}"
    role = injected_role(probe)
    if probe.refusal and not was_asked(probe) and "failed calling webhook" not in probe.refusal:
        return unknown(DRY_RUN, Unread(f"refused {whose}: {_said(probe.refusal)}", probe.is_forbidden))
    if not was_asked(probe) and not (role is None and _was_counted(found)):
        if role is not None:
            return broken(
                DRY_RUN,
                f"{whose} somebody else injected {shown(role)}, and our webhook did not answer",
                meaning="another webhook for the same annotations is at work",
                remedy="irsa doctor cluster, and see which one it is",
            )
        return broken(
            DRY_RUN,
            f"nothing was injected {whose}, and the webhook did not answer",
            meaning="pods get no role, and nobody is told",
            remedy="mend the first broken link above; where there is none, see whether kubectl logs -n "
            f"{found.namespace} deployment/{WEBHOOK} has pod_reviewed",
        )
    return _asked(found, probe, role, whose)


def _was_counted(found: Installation) -> bool:
    """Return whether the API server counted an answer: one that knows our annotations by other names has no warning."""
    return isinstance(found.counts, Counts) and found.counts.answered > 0


def _asked(found: Installation, probe: Probe, role: str | None, whose: str) -> Finding:
    """Return what an answer of our webhook proves."""
    target = probe.target
    if role is not None and role == target.role_arn:
        return ok(DRY_RUN, f"the webhook injected {shown(role or 'container credentials')} {whose}")
    if target.role_arn is None and role is None:
        name = f"{target.service_account} -n {target.namespace}"
        return warning(
            DRY_RUN,
            f"the webhook answered {whose}, which has no role to inject",
            meaning="the way to the webhook is good; an injection was not seen",
            remedy=f"kubectl annotate serviceaccount {name} eks.amazonaws.com/role-arn=ROLE, or name one that has"
            " one with --service-account NAMESPACE/NAME",
        )
    said = probe.refusal or " ".join(text for text in probe.warnings if not text.startswith(probe.expected))
    return broken(
        DRY_RUN,
        f"the webhook injected {shown(role) if role else 'nothing'} {whose}, expected "
        f"{shown(target.role_arn) if target.role_arn else 'container credentials'}"
        + (f"; it says {_said(said)}" if said else ""),
        meaning="it decides by other settings or an older state than this command",
        remedy=f"kubectl logs -n {found.namespace} deployment/{WEBHOOK}; and give this command what the webhook "
        "is told besides ConfigMap irsa-settings",
    )


def _said(text: str) -> str:
    return shown(text, MAX_SAID_CHARACTERS)
