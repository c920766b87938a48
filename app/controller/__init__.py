"""``irsa controller``: everything that writes around the webhook, while it holds the Lease.

A snapshot of what the cluster holds goes in, what is to be written comes out. Reading order:

- lease (pure: whose turn it is) -> leading (the loop that holds the Lease and runs the others meanwhile);
- stored (pure: Secrets and webhook configuration as values, and back) -> rotation (pure: the next thing to write)
  -> certificates (the loop that reads, asks and writes);
- metrics.

Nothing here decides what a pod gets: that is ``app.webhook``, which never writes.
"""
