"""What we know about the cluster, and the way to it: list and watch become snapshots that requests only read.

Reading order: objects and snapshot -> source, then one of the two sources of ServiceAccounts:

- a folder of manifests: manifests (pure) -> manifest_files -> folder;
- the Kubernetes API: service_accounts, which adds live look-ups (live) to what is watched.

The Kubernetes API, for every kind of object: api says what we need of it; kinds, events, backoff (pure) -> pages, watch
are the reading; library (the only import of ``kubernetes``), configuration, connection, client are the way there.
"""
