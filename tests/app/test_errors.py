from app.errors import ClusterError, ConfigurationError, IrsaError


def test_one_tree_has_one_root() -> None:
    assert issubclass(ConfigurationError, IrsaError)
    assert issubclass(ClusterError, IrsaError)
