"""Every command of ``irsa``, said once: for the overview, for the dispatch, and for the tests of both."""

from collections.abc import Mapping
from typing import Final

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "webhook": ("app.cli.webhook:webhook", "Serve the mutating admission webhook."),
    "controller": ("app.cli.controller:controller", "Make the webhook's certificates, write Events, watch for drift."),
    "issuer keygen": ("app.cli.issuer:keygen", "Make a signing key for the cluster's service account tokens."),
    "issuer render": ("app.cli.issuer:render", "Write discovery document and JWKS to a folder."),
    "issuer serve": ("app.cli.issuer:serve", "Serve discovery document and JWKS over HTTPS."),
    "inject": ("app.cli.inject:inject", "Apply the webhook's mutation to YAML, offline."),
    "access": ("app.cli.access:access", "List who in the cluster asks for which AWS role."),
    "drift": ("app.cli.drift:drift", "List running pods whose identity is another than they would get today."),
    "doctor install": ("app.cli.doctor:install", "See whether pods get their roles, and else what is broken."),
    "doctor cluster": ("app.cli.doctor:cluster", "Name what a cluster lacks."),
    "demo": ("app.cli.demo:demo", "Run the whole chain on this machine against a real STS."),
}
"""Command -> where its function is, and its one line of help. Nothing is imported until the command is known."""

ROLES: Final = frozenset({"webhook", "controller", "issuer serve"})
"""Commands that a cluster runs: every IRSA_* variable of theirs must mean something. A shell may hold anybody's."""

GROUPS: Final[Mapping[str, str]] = {
    "issuer": "Make and serve the documents that STS trusts.",
    "doctor": "Say what is wrong, and what mends it.",
}
