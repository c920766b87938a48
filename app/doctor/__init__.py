"""What is wrong with an installation, or missing in a cluster: documents in, findings out.

``reading`` reads what there is with bounded time and changes nothing; all else is pure. Read ``findings`` and
``record`` first; then ``install``, which walks the chain from webhook configuration to patched pod, one module a few
links: ``hooks``, ``certificates``, ``backend``, ``reaching``, ``probe``, ``controller``. ``cluster`` stands by itself.
"""
