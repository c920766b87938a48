"""What is wrong with an installation, or missing in a cluster: documents in, findings out.

``reading``, ``targets``, ``read_install`` and ``read_cluster`` read what there is in bounded time, and change nothing;
all else is pure. Read ``findings`` and ``record`` first; then ``install``, which walks the chain from webhook
configuration to patched pod, a few links a module: ``hooks``, ``certificates``, ``backend``, ``reaching``, ``probe``,
``controller``. ``cluster`` stands by itself.
"""
