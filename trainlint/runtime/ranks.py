"""Several processes of one training: each observes, and rank 0 reports what all of them saw.

They meet when their scripts have ended, in a folder of the machine's own: nothing goes through the channels of the
training, whose order must not change. Ranks on other machines are not heard.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainlint.findings import Severity
from trainlint.runtime.places import Place

if TYPE_CHECKING:
    from trainlint.runtime.monitor import Monitor, Observation

# Ranks end at about the same time; one that was killed never tells anything.
SECONDS = 10.0


class Ranks:
    """This process among those of its training, as `torchrun` and its like tell by environment variables."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.rank = int(environment.get("RANK", "0"))
        self.number = int(environment.get("WORLD_SIZE", "1"))
        # The ranks of a machine have a parent in common, which starts them anew after a failure.
        names = [environment.get(name, "") for name in ("MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")]
        self._folder = Path(tempfile.gettempdir(), "-".join(("trainlint", str(os.getppid()), *names)))

    def join(self) -> None:
        """Say that there is this rank on this machine."""
        if self.number > 1:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._file("here", self.rank).touch()

    def _file(self, kind: str, rank: int) -> Path:
        return self._folder / f"{rank}.{kind}"

    def tell(self, monitor: Monitor | None) -> None:
        """Leave for rank 0 what was seen here, if it is on this machine and still there."""
        if self._file("here", 0).exists():
            part = self._file("part", self.rank)
            part.write_text(json.dumps({} if monitor is None else _told(monitor)), "utf-8")
            part.replace(self._file("json", self.rank))
        else:
            shutil.rmtree(self._folder, ignore_errors=True)

    def hear(self, monitor: Monitor | None, seconds: float = SECONDS) -> None:
        """Take in what the others on this machine saw; wait for them, so long at most."""
        end = time.monotonic() + seconds
        missing = {rank for rank in range(1, self.number) if self._file("here", rank).exists()}
        told: dict[int, dict[str, Any]] = {}
        while True:
            for rank in [rank for rank in missing if self._file("json", rank).exists()]:
                missing.remove(rank)
                told[rank] = json.loads(self._file("json", rank).read_text("utf-8"))
            if not missing or time.monotonic() > end:
                break
            time.sleep(0.02)
        if self.number > 1:
            shutil.rmtree(self._folder, ignore_errors=True)
        if monitor is not None:
            _take(monitor, told)


def _told(monitor: Monitor) -> dict[str, Any]:
    from trainlint.runtime.probes.ranks import RanksDiverge

    probe = monitor.probe(RanksDiverge)
    return {
        "observations": [_plain(observation) for observation in monitor.observations.values()],
        "trace": None if probe is None else probe.trace,
    }


def _plain(observation: Observation) -> dict[str, Any]:
    place = observation.place
    position = None
    if place is not None:
        position = [place.filename, place.line, place.column, place.end_line, place.end_column]
    return {
        "code": observation.code,
        "name": observation.name,
        "message": observation.message,
        "severity": observation.severity.value,
        "place": position,
        "turn": observation.turn,
        "fields": {name: value for name, value in observation.fields.items() if isinstance(value, str)},
    }


def _take(monitor: Monitor, told: Mapping[int, dict[str, Any]]) -> None:
    """Compare the ranks, and add what only others have observed."""
    from trainlint.runtime.monitor import Observation
    from trainlint.runtime.probes.ranks import RanksDiverge

    probe = monitor.probe(RanksDiverge)
    for rank, record in sorted(told.items()):
        for item in record.get("observations", ()):
            place = None if item["place"] is None else Place(*item["place"])
            message = f"{item['message']} (on rank {rank})"
            about = (item["code"], item["name"], message, Severity(item["severity"]))
            own = Observation(*about, place, item["turn"], item["fields"])
            monitor.observations.setdefault((own.code, message if place is None else place.start), own)
        if probe is not None and record.get("trace"):
            probe.compare(rank, record["trace"])
