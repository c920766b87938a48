"""Pods of many shapes and YAML texts of many styles, for hypothesis."""

import io
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

NAMES = ["a", "b", "c"]

values = st.sampled_from(["x", "yes", "0644", "with: colon", "# no comment", DoubleQuotedScalarString("quoted")])
texts = st.sampled_from([LiteralScalarString("text\n\nof lines\n"), LiteralScalarString("kept\n\n\n"), "plain"])


def variables() -> st.SearchStrategy[Any]:
    names = st.sampled_from(["A", "AWS_REGION", "AWS_ROLE_ARN", "AWS_STS_REGIONAL_ENDPOINTS"])
    one = st.fixed_dictionaries({"name": names, "value": values | texts})
    return st.lists(one, max_size=3, unique_by=lambda variable: variable["name"])


def mounts() -> st.SearchStrategy[Any]:
    return st.lists(st.fixed_dictionaries({"name": st.just("data"), "mountPath": st.just("/data")}), max_size=1)


def containers(*, names: list[str]) -> st.SearchStrategy[Any]:
    one = st.fixed_dictionaries(
        {"name": st.sampled_from(names), "image": values},
        optional={
            "command": st.lists(values | texts, min_size=1, max_size=2),
            "env": st.none() | variables(),
            "resources": st.just({"limits": {"cpu": 1}}) | st.just({}),
            "volumeMounts": st.none() | mounts(),
        },
    )
    return st.lists(one, min_size=1, max_size=3, unique_by=lambda container: container["name"])


def templates() -> st.SearchStrategy[dict[str, Any]]:
    """Return pod templates of ServiceAccount app."""
    spec = st.fixed_dictionaries(
        {"serviceAccountName": st.just("app"), "containers": containers(names=NAMES)},
        optional={
            "initContainers": containers(names=["init"]),
            "volumes": st.none() | st.just([]) | st.just([{"name": "data", "emptyDir": {}}]),
            "restartPolicy": st.just("Always"),
        },
    )
    annotations = st.dictionaries(
        st.just("eks.amazonaws.com/skip-containers"), st.sampled_from(["a", "b,c", "init"]), max_size=1
    )
    return st.fixed_dictionaries({"metadata": st.fixed_dictionaries({"annotations": annotations}), "spec": spec})


@st.composite
def yaml_of(draw: st.DrawFn, value: Any, *, shared: bool = False, flow: bool = False) -> str:
    """Return *value* as somebody may have written it: indentation, brackets, anchors, comments, line ends."""
    value = _styled(draw, value, seen={} if shared else None, flow=flow)
    yaml = YAML()
    yaml.width = 10_000
    sequence = draw(st.sampled_from([(2, 0), (4, 2), (5, 2), (6, 2), (4, 0)]))
    yaml.indent(mapping=draw(st.sampled_from([2, 3, 4])), sequence=sequence[0], offset=sequence[1])
    stream = io.StringIO()
    yaml.dump(value, stream)
    lines = [line for one in stream.getvalue().splitlines() for line in _commented(draw, one)]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    return end.join(lines) + draw(st.sampled_from(["", end, end + end]))


def _styled(draw: st.DrawFn, value: Any, *, seen: dict[str, Any] | None, flow: bool) -> Any:
    """Return *value* in ruamel's types; with *seen*, lists that are equal become one, which is written as an alias."""
    if not isinstance(value, dict | list):
        return value
    key = repr(value)
    if seen is not None and key in seen and value:
        return seen[key]
    if isinstance(value, dict):
        styled: Any = CommentedMap({name: _styled(draw, one, seen=seen, flow=flow) for name, one in value.items()})
    else:
        styled = CommentedSeq([_styled(draw, one, seen=seen, flow=flow) for one in value])
    if flow and draw(st.integers(0, 4)) == 0:
        styled.fa.set_flow_style()
    if seen is not None:
        seen[key] = styled
    return styled


def _commented(draw: st.DrawFn, line: str) -> list[str]:
    """Return *line*, with a comment or nothing above it, but not in a block of text, where it would be text."""
    if draw(st.integers(0, 9)) or not line.strip().partition(" ")[0].endswith((":", "-")):
        return [line]
    return [draw(st.sampled_from(["", "# comment", " " * (len(line) - len(line.lstrip())) + "# - name: old"])), line]
