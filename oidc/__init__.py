"""The issuer: public signing keys become two documents that STS trusts.

Reading order: keys -> documents -> targets, and tokens for who plays the API server. Nothing here imports ``app``,
nothing here talks to Kubernetes.
"""
