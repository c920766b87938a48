"""What runs in and around the cluster.

Three flows: ``webhook`` (a pod asks for a role), the issuer's documents (``oidc``, beside this package), and the
metadata shim (to come). Start reading at ``app.main``, the only file that wires things together; ``app.cli`` has one
small file per command.
"""
