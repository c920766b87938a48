"""What we know about the cluster: list and watch become snapshots that requests only read.

Reading order: objects -> source -> folder -> watch -> client. ``client`` is the only import of ``kubernetes``.
"""
