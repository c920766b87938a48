"""Flow 1: AdmissionReview in, JSONPatch out.

Reading order: review -> annotations -> identity -> inject -> decision -> routes. All pure but ``routes``.
"""
