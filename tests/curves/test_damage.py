"""What is wrong with a log is told, in a few words, and costs nothing of what is right."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Write

from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import Diagnosis, diagnose
from trainlint.curves.reading import MOST_SERIES

CHECKS = list(all_checks().values())


def line(step: int) -> str:
    return json.dumps({"step": step, "train/loss": 2 - step / 100}) + "\n"


def steps_of(diagnosis: Diagnosis) -> list[float]:
    (run,) = diagnosis.runs
    return run.series[0].steps


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([3], "a line is no JSON object; it was passed over"),
        ([3, 5, 8], "3 lines are no JSON objects (lines 4, 6, 9); they were passed over"),
        (range(2, 22, 2), "10 lines are no JSON objects (lines 3, 5, 7, 9, 11, …); they were passed over"),
    ],
)
def test_all_bad_lines_are_told_in_one_finding(write: Write, bad: list[int], message: str) -> None:
    text = "".join("{'step': 1}\n" if step in bad else line(step) for step in range(30))
    diagnosis = diagnose([str(write({"log.jsonl": text}) / "log.jsonl")], [])
    (finding,) = diagnosis.findings
    assert (finding.code, finding.message, finding.span.line) == ("TL000", message, bad[0] + 1)
    assert steps_of(diagnosis) == [step for step in range(30) if step not in bad]


def test_all_rows_that_do_not_fit_are_told_in_one_finding(write: Write) -> None:
    rows = [f"{i},{2 - i / 10}" + ",1" * (i in (4, 7)) for i in range(12)]
    text = "step,train_loss\n" + "\n".join([*rows[:9], "9", *rows[10:]]) + "\n"
    (finding,) = diagnose([str(write({"metrics.csv": text}) / "metrics.csv")], []).findings
    assert "3 rows have another number of values" in finding.message
    assert "(lines 6, 9, 11)" in finding.message


def test_bad_lines_of_mlflow(write: Write) -> None:
    rows = "".join(f"1700000000 {2 - i / 10} {i}\n" for i in range(10))
    root = write({"1/meta.yaml": "", "1/metrics/loss": rows + "1700000000 0.9 x\n1700000000\n" + "1700000000 0.8 12\n"})
    diagnosis = diagnose([str(root / "1")], [])
    assert steps_of(diagnosis) == [*range(10), 12]
    assert [note for note in diagnosis.findings if "2 lines of the metrics are no records" in note.message]


STATE = json.dumps({"log_history": [{"step": i, "loss": 2 - i / 10, "note": 'a "]"'} for i in range(9)]}, indent=1)
HISTORY = json.dumps({"loss": [2 - i / 10 for i in range(9)], "val_loss": [2.5] * 9})


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize(("name", "text"), [("trainer_state.json", STATE), ("history.json", HISTORY)])
def test_a_document_that_was_cut_off_is_read_up_to_there(write: Write, name: str, text: str, share: float) -> None:
    whole = diagnose([str(write({"whole/" + name: text}) / "whole")], []).runs[0].series[0].values
    diagnosis = diagnose([str(write({name: text[: int(share * len(text))]}) / name)], [])
    (finding,) = diagnosis.findings
    assert finding.code == "TL000"
    assert "cut off" in finding.message
    kept = diagnosis.runs[0].series[0].values
    assert kept
    assert kept == whole[: len(kept)]


@pytest.mark.parametrize("text", ["", "\n\n", "\0" * 4096])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.log", "trainer_state.json", "events.out.tfevents.1"])
def test_nothing_in_it(write: Write, name: str, text: str) -> None:
    diagnosis = diagnose([str(write({name: text}) / name)], CHECKS)
    (finding,) = diagnosis.findings
    assert finding.code == "TL000"
    assert not diagnosis.runs


def test_values_that_are_no_numbers(write: Write) -> None:
    rows = "".join(f"{i},{'oom' if i % 5 == 0 else 2 - i / 20}\n" for i in range(20))
    diagnosis = diagnose([str(write({"metrics.csv": "step,train_loss\n" + rows}) / "metrics.csv")], [])
    assert steps_of(diagnosis) == [i for i in range(20) if i % 5]
    assert any("`train_loss` is no number at line 2 (`oom`)" in note for note in diagnosis.notes)


def test_nan_everywhere(write: Write) -> None:
    rows = "".join(f"{i},nan,NaN\n" for i in range(1, 20))
    (finding,) = diagnose([str(write({"m.csv": "epoch,train_loss,val_loss\n" + rows}) / "m.csv")], CHECKS).findings
    assert finding.code == "TC101"
    assert "is NaN from step 1 on, the first record" in finding.message


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([*range(10), *range(4, 12)], "goes back from step 9 to 4"),
        ([0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9], "has two values at step 6"),
        ([*range(20, 0, -1)], "goes back from step 20 to 19, and 18 times more"),
    ],
)
def test_steps_that_are_out_of_order(write: Write, steps: list[int], message: str) -> None:
    rows = "".join(f"{step},{2 - i / 100}\n" for i, step in enumerate(steps))
    findings = diagnose([str(write({"m.csv": "step,train_loss\n" + rows}) / "m.csv")], CHECKS).findings
    assert [message in finding.message for finding in findings if finding.code == "TC112"] == [True]


def test_a_line_that_comes_twice_is_one_record(write: Write) -> None:
    text = "".join(line(step) * 2 for step in range(12))
    diagnosis = diagnose([str(write({"log.jsonl": text}) / "log.jsonl")], CHECKS)
    assert steps_of(diagnosis) == list(range(12))
    assert not [finding for finding in diagnosis.findings if finding.code == "TC112"]


TEXT = "".join(f"Epoch {i} train loss: {2 - i / 10:.1f} für\n" for i in range(10))


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode("utf-8"),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("latin-1"),
        TEXT.encode("utf-16"),
        # What PowerShell makes of `>>` behind a file that something else began.
        TEXT[: len(TEXT) // 2].encode() + TEXT[len(TEXT) // 2 :].encode("utf-16-le"),
        TEXT[: len(TEXT) // 2].encode("latin-1") + b"\0" * 512 + TEXT[len(TEXT) // 2 :].encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
    ],
)
def test_encodings_and_mixtures_of_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out.log").write_bytes(content)
    (run,) = diagnose([str(tmp_path / "out.log")], []).runs
    assert run.series[0].values == [round(2 - i / 10, 1) for i in range(10)]


def test_names_without_end_are_bounded(write: Write) -> None:
    text = line(0) + "".join(json.dumps({"step": i, f"loss_{i}": 1.0}) + "\n" for i in range(2 * MOST_SERIES))
    diagnosis = diagnose([str(write({"log.jsonl": text}) / "log.jsonl")], [])
    assert len(diagnosis.runs[0].series) == MOST_SERIES
    assert any(f"more than {MOST_SERIES} names" in note for note in diagnosis.notes)


@pytest.mark.parametrize(
    ("suffix", "row"),
    [
        ("csv", lambda i: f"{i},{2 + i % 7},{i},{72 * 'x'}\n"),
        ("jsonl", lambda i: json.dumps({"step": i, "train_loss": 2 + i % 7, "text": 60 * "x"}) + "\n"),
        ("log", lambda i: f"step {i} train loss: {2 + i % 7}.5 {60 * 'x'}\n"),
    ],
)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str, row: Callable[[int], str]) -> None:
    peaks = []
    for count in (1_000, 80_000):
        path = tmp_path / f"{count}.{suffix}"
        with path.open("w") as file:
            file.write("step,train_loss,i,text\n" if suffix == "csv" else "")
            file.writelines(map(row, range(count)))
        tracemalloc.start()
        try:
            found = diagnose([str(path)], CHECKS)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert sum(series.recorded for run in found.runs for series in run.series) >= count
    # The large file has some 8 MB; the points that are kept, and what statistics make of them, take a few.
    assert peaks[1] - peaks[0] < 4 << 20
