from prometheus_client import CollectorRegistry, generate_latest

from app.webhook.assigned import Assigned
from app.webhook.assigned_metrics import AssignedMetrics
from tests.builders import ROLE_ARN


def exposed(assigned: Assigned) -> list[str]:
    registry = CollectorRegistry()
    registry.register(AssignedMetrics(assigned))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_bad_edit_is_a_problem_and_the_entries_before_it_stay() -> None:
    assigned = Assigned()
    assigned.read_mappings({"config": f'{{"shop/a": {{"RoleARN": "{ROLE_ARN}"}}, "shop/b": null}}'})

    before = exposed(assigned)
    assigned.read_mappings({"config": "{"})

    assert before == [
        'irsa_webhook_assignments{source="mappings"} 1.0',
        'irsa_webhook_assignments{source="container_credentials"} 0.0',
        'irsa_webhook_assignment_problems{source="mappings"} 1.0',
        'irsa_webhook_assignment_problems{source="container_credentials"} 0.0',
    ]
    assert exposed(assigned) == before
