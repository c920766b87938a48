"""Flow 1: AdmissionReview in, JSONPatch out.

Reading order: review -> annotations -> mappings -> identity -> inject -> decision -> routes. All pure but ``routes``
and what serves it: ``exchange``, ``assigned`` and the metrics.
"""
