"""What we know about the cluster: list and watch become snapshots that requests only read.

Reading order: objects -> source, then one of the two sources:

- a folder of manifests: manifests (pure) -> manifest_files -> folder;
- the Kubernetes API: api -> events and backoff (pure) -> watch -> client, which is the only import of ``kubernetes``.
"""
