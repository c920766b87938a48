"""From the API server to the webhook: what it says about the call. Pure.

Three witnesses, the best one first: the words with which the Fail hook refuses a pod, the counters of the API server,
and how it fares when it calls the Service in our place.
"""

import re
from typing import Final

from app.doctor.findings import Finding, broken, ok, unknown
from app.doctor.probe import was_asked
from app.doctor.record import WEBHOOK, Installation, Probe, Unread
from app.text import shown

REACHED: Final = "api server to webhook"

FAILED: Final = re.compile(
    r'failed calling webhook "(?:[a-z]+\.webhook\.irsa)": (?:failed to call webhook: )?(.*)', re.DOTALL
)

MAX_SAID_CHARACTERS: Final = 300

CANNOT_REACH: Final = (
    "the control plane cannot reach pods: a firewall, a managed control plane or a network policy is between",
    "open the webhook's port from the control plane to the nodes, or helm upgrade … --set hostNetwork=true",
)
NOBODY_LISTENS: Final = (
    "nobody listens at that address and port",
    "kubectl get -n {namespace} pods,endpointslices -o wide: are the pods ready, is the port theirs?",
)
NO_TRUST: Final = (
    "caBundle is not of the CA that signed what the webhook serves",
    "kubectl logs -n {namespace} deployment/irsa-controller; it writes both, or cert-manager or you do",
)

MEANINGS: Final = (
    ("certificate signed by unknown authority", *NO_TRUST),
    ("certificate has expired", "the serving certificate has expired", NO_TRUST[1]),
    (
        "x509",
        "the API server does not believe the serving certificate",
        "kubectl logs -n {namespace} deployment/irsa-controller; it makes the certificate",
    ),
    ("connection refused", *NOBODY_LISTENS),
    ("no endpoints available", "no pod of the webhook is ready", NOBODY_LISTENS[1]),
    ("no such host", "the API server does not know that name", "mend the name in the webhook configuration"),
    ("deadline exceeded", *CANNOT_REACH),
    ("timeout", *CANNOT_REACH),
    ("timed out", *CANNOT_REACH),
    ("no route to host", *CANNOT_REACH),
    ("unreachable", *CANNOT_REACH),
    (
        "could not find the requested resource",
        "somebody else answers at that address, or a webhook of another version",
        "kubectl get -n {namespace} deployment/irsa-webhook -o wide",
    ),
    ("first record does not look like a TLS handshake", "what listens there speaks no TLS", NOBODY_LISTENS[1]),
)
"""Words of the API server, of Go's net and crypto/x509 packages, the meaning and the remedy; the first one counts."""

OTHERWISE: Final = ("the call fails", "kubectl logs -n {namespace} deployment/irsa-webhook")


def reached(found: Installation) -> Finding:
    """Return whether the API server gets through to the webhook."""
    probes = [probe for probe in (found.probe, found.strict) if isinstance(probe, Probe)]
    if any(map(was_asked, probes)):
        return ok(REACHED, "the webhook has answered the API server about a dry-run pod")
    said = next((words for probe in probes if (words := _failure(probe))), "")
    if not said and isinstance(found.proxied, str):
        said = found.proxied
    if said:
        return _broken(said, found)
    counts = found.counts
    if counts is not None and not isinstance(counts, Unread):
        if counts.failed_open or counts.failed_closed:
            return _broken("the API server counted a call that failed, and admitted the pod all the same", found)
        if counts.answered:
            return ok(REACHED, "the API server counted an answer")
    if found.proxied == "":
        why = f"the API server gets through to Service {WEBHOOK}; whether it believes the certificate shows nowhere"
        return unknown(REACHED, Unread(why))
    unread = next((one for one in (found.proxied, counts) if isinstance(one, Unread)), None)
    why = "the hooks ignore failures, and no other witness was there"
    return unknown(REACHED, Unread(f"{why}: {unread.why}", unread.is_forbidden) if unread else Unread(why))


def _broken(said: str, found: Installation) -> Finding:
    meaning, remedy = next(((why, what) for words, why, what in MEANINGS if words in said), OTHERWISE)
    return broken(
        REACHED,
        shown(said, MAX_SAID_CHARACTERS),
        meaning=meaning,
        remedy=remedy.format(namespace=found.namespace),
    )


def _failure(probe: Probe) -> str:
    """Return why the call for *probe* failed, empty where nobody says that it did."""
    match = FAILED.search(probe.refusal)
    return match[1] if match else ""
