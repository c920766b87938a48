import sys
import tempfile
from pathlib import Path

import pytest

from app.demo.run import run
from app.demo.steps import Steps
from tests.app.demo.objects_for_tests import Listener


def test_a_server_that_ends_fails_the_demo_by_name_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    listener = Listener()

    # Python takes the flags of SeaweedFS for none of its own.
    report = run(
        listener,
        lambda story, processes, folder: Steps(
            story=story, processes=processes, folder=folder, weed=Path(sys.executable)
        ),
        keep=True,
    )

    assert [(step.name, step.ok) for step in report.steps[-2:]] == [("servers", False), ("stop", True)]
    assert report.steps[-2].detail == "seaweedfs: expected it to be ready, got its end with status 2"
    assert report.steps[-1].detail == "2 processes stopped, nothing left behind"
    assert listener.blame["seaweedfs"][0].startswith("Unknown option: -l")
    assert not report.ok
    assert list(tmp_path.iterdir()) == []
