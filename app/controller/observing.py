"""Settings -> the loops that follow the cluster, write Events and count drift, and what they count."""

from dataclasses import dataclass

from app.controller.certificates import Api
from app.controller.cluster_metrics import ClusterMetrics
from app.controller.drift import DriftCount
from app.controller.following import Following
from app.controller.leading import Loop
from app.controller.metrics import ControllerMetrics
from app.controller.telling import Telling
from app.policy import policy
from app.settings import ControllerSettings


@dataclass(frozen=True, slots=True)
class Observing:
    """Duties of whoever leads, by name, and the metrics of them."""

    duties: dict[str, Loop]
    metrics: ClusterMetrics


def observing(api: Api, settings: ControllerSettings, *, instance: str, metrics: ControllerMetrics) -> Observing:
    """Return what observes the cluster. Nothing is asked of it before the first duty runs.

    Args:
        api: reads pods, ServiceAccounts and the ConfigMaps of the assignments, and writes Events.
        settings: the same about injections as the webhook has.
        instance: the name of this controller.
        metrics: is told of failures.
    """
    following = Following(
        api,
        policy=policy(settings),
        mappings=settings.mappings,
        container_credentials=settings.container_credentials,
    )
    places = {"mappings": settings.mappings, "container_credentials": settings.container_credentials}
    telling = Telling(api, following, instance=instance, metrics=metrics, places=places)
    drift = DriftCount(following)
    return Observing(
        duties={**following.loops, "events": telling.run, "drift": drift.run},
        metrics=ClusterMetrics(telling, drift),
    )
