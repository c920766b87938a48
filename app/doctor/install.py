"""What was read of an installation -> findings, from the webhook configuration to the patched pod. Pure."""

from app.doctor import backend, certificates, controller, hooks, probe, reaching
from app.doctor.findings import Finding, State
from app.doctor.record import Installation


def findings(found: Installation) -> list[Finding]:
    """Return how each link is, in the order in which a request passes them; the last ones keep the others going.

    Where there is nothing to judge a link by, because the one before it is not there, it is left out.
    """
    asked = reaching.reached(found)
    chain = [hooks.configuration(found)]
    if found.hooks():
        chain += [hooks.selectors(found), certificates.ca_bundle(found)]
    if found.hooks() and not found.has_url():
        chain.append(certificates.serving(found))
    if not found.has_url():
        chain += [backend.service(found), backend.pods(found), backend.endpoints(found)]
        chain.append(backend.network(found, is_reached=asked.state is State.OK))
    if found.configuration is not None:
        chain += [asked, probe.dry_run(found)]
    return [*chain, controller.controller(found), controller.authority(found), controller.versions(found)]
