import subprocess
import sys

LOADED = """
import sys
import app.cluster.library
print("requests" in sys.modules, "charset_normalizer" in sys.modules)
import charset_normalizer
"""


def test_what_kubernetes_drags_in_unused_is_not_loaded_and_can_be_later() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", LOADED], capture_output=True, text=True, check=False)  # noqa: S603 - ours

    assert (done.stdout, done.stderr) == ("True False\n", "")
