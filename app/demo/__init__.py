"""``irsa demo``: the whole chain on one machine, with a real issuer, a real webhook, a real STS and a real S3.

Nothing here mints, signs, renders or decides by itself: keys, tokens and documents are ``oidc``'s, issuer and webhook
are processes of this program. What is played is what a cluster has and this machine has not: ReplicaSet controller and
kube-apiserver (``pods``, ``tokens``), kubelet (``kubelet``).

Reading order: run -> steps -> servers and refusals, then what these use:

- pure: examples, pods, program, story, text, keep, the documents in seaweedfs, the plan in kubelet;
- shells: certificates, files, fetch, ports, processes, signals;
- who is told: screen for people, quiet for programs.
"""
