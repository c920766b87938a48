"""Which objects of the API are followed, how they are decoded and what is kept of each. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from app.cluster.api import Collection
from app.cluster.objects import LEFT_OUT, Keep, ServiceAccount, service_account, size

SERVICE_ACCOUNTS: Final = "/api/v1/serviceaccounts"
PODS: Final = "/api/v1/pods"


class ObjectMeta(msgspec.Struct, rename="camel", gc=False):
    """The part of an object's metadata that every kind needs; what else a kind declares is decoded with it."""

    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class Item(Protocol):
    """An object as it is decoded: a ``msgspec.Struct`` with the fields that somebody reads, and no others."""

    @property
    def metadata(self) -> ObjectMeta:
        """Its name, namespace and resource version."""


T = TypeVar("T")
ItemT = TypeVar("ItemT", bound=Item)


class ListMeta(msgspec.Struct, gc=False):
    """Of a page: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/list-meta/."""

    resource_version: str = msgspec.field(name="resourceVersion")
    continue_token: str = msgspec.field(name="continue", default="")


class Kind(Generic[T]):
    """Objects that are listed and watched, and what is kept of them.

    Attributes:
        name: in the names of log events, such as ``service_accounts``.
        collection: which objects.
        read_item: decodes one from JSON.
        keep: what the snapshot holds of an object, None where it is of no interest. Two that are equal are taken for no
            change.
        size: how many bytes that takes, where a snapshot bounds them.
        left_out: what then stands for an object that it may have had no room for.
    """

    __slots__ = ("collection", "keep", "left_out", "name", "read_item", "size")

    def __init__(
        self,
        name: str,
        collection: Collection,
        *,
        item: type[ItemT],
        keep: Callable[[ItemT], T | None],
        size: Callable[[T], int] | None = None,
        left_out: T | None = None,
    ) -> None:
        self.name = name
        self.collection = collection
        self.read_item: Callable[[bytes | msgspec.Raw], Item] = msgspec.json.Decoder(item).decode
        self.keep: Callable[[Any], T | None] = keep
        self.size = size
        self.left_out = left_out


class AnnotatedMeta(ObjectMeta):
    """Of an object of which nothing but its annotations is read."""

    annotations: dict[str, str] | None = None
    creation_timestamp: str = ""


class Annotated(msgspec.Struct, gc=False):
    """An object of which only metadata is asked for (``PartialObjectMetadata``)."""

    metadata: AnnotatedMeta


def service_accounts(keep: Keep, *, seen: Callable[[AnnotatedMeta], object] | None = None) -> Kind[ServiceAccount]:
    """Return the kind of all ServiceAccounts of a cluster.

    Args:
        keep: says which annotations are kept.
        seen: is told of each that is read.
    """

    def kept(item: Annotated) -> ServiceAccount:
        if seen is not None:
            seen(item.metadata)
        return service_account(item.metadata.annotations, keep=keep)

    return Kind(
        "service_accounts",
        Collection(path=SERVICE_ACCOUNTS, metadata_only=True),
        item=Annotated,
        keep=kept,
        size=size,
        left_out=LEFT_OUT,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap:
    """A ConfigMap that exists."""

    data: Mapping[str, str]
    resource_version: str
    uid: str


class _UniqueMeta(ObjectMeta):
    uid: str = ""


class _ConfigMapItem(msgspec.Struct):
    metadata: _UniqueMeta
    data: dict[str, str] | None = None


def config_map(namespace: str, name: str) -> Kind[ConfigMap]:
    """Return the kind that has one object, or none while there is no such ConfigMap.

    ``resourceNames`` in a Role are enough for it: RBAC takes the name from this selector
    (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#referring-to-resources).
    """
    return Kind(
        "config_map",
        Collection(path=f"/api/v1/namespaces/{namespace}/configmaps", field_selector=f"metadata.name={name}"),
        item=_ConfigMapItem,
        keep=lambda item: ConfigMap(
            data=item.data or {}, resource_version=item.metadata.resource_version, uid=item.metadata.uid
        ),
    )


class PodMeta(ObjectMeta):
    """Of a pod."""

    uid: str = ""
    generate_name: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[dict[str, Any]] | None = None


class PodItem(msgspec.Struct):
    """A pod: what every reader needs is typed, the rest is as it came, so that no field that is newer than us is lost.

    It lives as long as ``Kind.keep`` looks at it; keep less than all of it.
    """

    metadata: PodMeta
    spec: dict[str, Any] = msgspec.field(default_factory=dict)
    status: dict[str, Any] = msgspec.field(default_factory=dict)


def pods(keep: Callable[[PodItem], T | None], *, field_selector: str = "") -> Kind[T]:
    """Return the kind of all pods of a cluster; *keep* returns what is kept of one, None where nothing is."""
    return Kind("pods", Collection(path=PODS, field_selector=field_selector), item=PodItem, keep=keep)
