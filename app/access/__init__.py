"""Who in the cluster asks for which AWS role, and which pods run with another identity than they would get today.

All of it is pure: documents in, findings out; ``app.cli.access``, ``app.cli.drift`` and ``app.controller`` read the
cluster and print, count or write. Read ``pods`` (what is kept of a pod) first, then ``owners``, ``observed`` (what it
has), ``drift`` (what it would get) and ``rows`` (the access map). ``trust`` policies of AWS are in ``oidc.aws``.
"""
