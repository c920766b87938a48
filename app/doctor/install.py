"""What was read of an installation -> findings, from the webhook configuration to the patched pod. Pure."""

from app.doctor import backend, certificates, controller, hooks, probe, reaching
from app.doctor.findings import Finding, State, unknown
from app.doctor.record import Installation, Unread


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
        chain.append(_absent(backend.NETWORK, found) or backend.network(found, is_reached=asked.state is State.OK))
    if found.configuration is not None:
        chain += [asked, probe.dry_run(found)]
    return [
        *chain,
        _absent(controller.CONTROL, found) or controller.controller(found),
        _absent(controller.AUTHORITY, found) or controller.authority(found),
        _absent(controller.VERSIONS, found) or controller.versions(found),
    ]


def _absent(link: str, found: Installation) -> Finding | None:
    """Return that there is no *link* to look at, where nothing is installed: what is not there is not good."""
    if not found.is_empty():
        return None
    why = Unread(f"nothing is installed in namespace {found.namespace}")
    return unknown(link, why, remedy=f"helm upgrade --install irsa CHART -n {found.namespace}")
