from typing import Any

import pytest

from app.doctor.selectors import selects, unmet

LABELS = {"app": "shop", "tier": "web"}


@pytest.mark.parametrize(
    ("selector", "missing"),
    [
        (None, None),
        ({}, None),
        ({"matchLabels": {"app": "shop"}}, None),
        ({"matchLabels": {"app": "other"}}, "app=other"),
        ({"matchLabels": {"x": "y"}}, "x=y"),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["web", "api"]}]}, None),
        ({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["api"]}]}, "tier In [api]"),
        ({"matchExpressions": [{"key": "x", "operator": "In", "values": ["api"]}]}, "x In [api]"),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web", "a"]}]}, "tier NotIn [web, a]"),
        ({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["web"]}]}, None),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, None),
        ({"matchExpressions": [{"key": "x", "operator": "Exists"}]}, "x Exists"),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, "tier DoesNotExist"),
        ({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}, None),
        (
            {"matchLabels": {"app": "shop"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]},
            "x Exists",
        ),
    ],
)
def test_requirement_that_is_not_met_is_named(selector: Any, missing: str | None) -> None:
    assert unmet(selector, LABELS) == missing
    assert selects(selector, LABELS) == (missing is None)
