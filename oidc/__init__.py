"""The issuer: public signing keys become two documents that STS trusts.

Reading order: keys -> key_files -> issuer -> documents -> targets, and tokens for who plays the API server. Nothing
here imports ``app`` or talks to Kubernetes.
"""
