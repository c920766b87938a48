"""Where documents go, one file a place: a folder, or our own HTTP server.

A target takes `oidc.documents.Documents` as they are; what is in them is decided elsewhere.
"""
