"""Logs of all formats, whole and damaged, come to the series that they hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import Write

from trainlint.cli import main
from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import Diagnosis, diagnose
from trainlint.curves.names import Role, role_of
from trainlint.curves.series import MOST_POINTS, Series
from trainlint.curves.statistics import trend

LOSSES = [2.3, 1.9, 1.6, 1.4, 1.3]


def read(write: Write, files: Mapping[str, str]) -> Diagnosis:
    return diagnose([str(write(files))], list(all_checks().values()))


FORMATS = {
    "metrics.csv": "epoch,train_loss\n" + "".join(f"{i},{v}\n" for i, v in enumerate(LOSSES, 1)),
    "log.jsonl": "".join(json.dumps({"step": i, "train/loss": v}) + "\n" for i, v in enumerate(LOSSES, 1)),
    "trainer_state.json": json.dumps({"log_history": [{"step": i, "loss": v} for i, v in enumerate(LOSSES, 1)]}),
    "history.json": json.dumps({"loss": LOSSES}),
    "out.log": "".join(f"Epoch {i}/5 - train loss: {v}\n" for i, v in enumerate(LOSSES, 1)),
    "bar.log": "".join(f"Epoch {i}/5\n32/32 [====] - 1s 2ms/step - loss: {v}\n" for i, v in enumerate(LOSSES, 1)),
    "batches.log": "".join(f"Train Epoch: 1 [{64 * i}/640 (1%)]\tLoss: {v}\n" for i, v in enumerate(LOSSES)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(write: Write, name: str) -> None:
    (run,) = read(write, {name: FORMATS[name]}).runs
    series = run.get("train", "loss")
    assert series is not None
    assert series.values == LOSSES
    assert series.steps == sorted(set(series.steps))


def test_mlflow(write: Write) -> None:
    rows = "".join(f"1700000000 {v} {i}\n" for i, v in enumerate(LOSSES))
    (run,) = read(write, {"mlruns/0/a/meta.yaml": "", "mlruns/0/a/metrics/val_loss": rows}).runs
    series = run.get("val", "loss")
    assert series is not None
    assert series.values == LOSSES


def test_tensorboard(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    for split in ("train", "validation"):
        writer = EventFileWriter(str(tmp_path / split))
        for i, loss in enumerate(LOSSES):
            summary = Summary(value=[Summary.Value(tag="epoch_loss", simple_value=loss)])
            writer.add_event(Event(step=i, summary=summary))
        writer.close()
    (run,) = diagnose([str(tmp_path)], []).runs
    for split in ("train", "val"):
        series = run.get(split, "loss")
        assert series is not None
        assert series.values == pytest.approx(LOSSES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("epoch,train_loss\n", "no rows"),
        ("name,colour\na,b\nc,d\n", "no numbers"),
        ("epoch,speed\n1,2\n", "no name was recognised among `speed`"),
    ],
)
def test_what_cannot_be_read_is_a_finding(write: Write, text: str, message: str) -> None:
    path = write({"metrics.csv": text}) / "metrics.csv"
    (finding,) = diagnose([str(path)], []).findings
    assert finding.code == "TL000"
    assert message in finding.message


def test_what_stands_before_the_damage_is_kept(write: Write) -> None:
    path = write({"log.jsonl": FORMATS["log.jsonl"] + '{"step": 6, "tr'}) / "log.jsonl"
    diagnosis = diagnose([str(path)], [])
    assert [finding.span.line for finding in diagnosis.findings] == [6]
    assert [len(series) for series in diagnosis.runs[0].series] == [5]


@pytest.mark.parametrize("row", ["3", "3,1,1"])
def test_a_row_that_does_not_fit_costs_no_other(write: Write, row: str) -> None:
    text = "step,train_loss\n" + "".join(f"{row if i == 3 else f'{i},{2 - i / 10}'}\n" for i in range(6))
    diagnosis = diagnose([str(write({"metrics.csv": text}) / "metrics.csv")], [])
    (finding,) = diagnosis.findings
    assert (finding.code, finding.span.line) == ("TL000", 5)
    assert "another number of values" in finding.message
    assert [point.step for point in diagnosis.runs[0].series[0].points] == [0, 1, 2, 4, 5]


def test_a_last_row_that_was_cut_off_is_no_damage(write: Write) -> None:
    text = "step,train_loss\n" + "".join(f"{i},{2 - i / 10}\n" for i in range(6)) + "6"
    diagnosis = diagnose([str(write({"metrics.csv": text}) / "metrics.csv")], [])
    assert not diagnosis.findings
    assert len(diagnosis.runs[0].series[0]) == 6


def test_utf16_and_stray_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(FORMATS["out.log"].encode("utf-16"))
    (tmp_path / "b.log").write_bytes(b"caf\xe9\n" + FORMATS["out.log"].encode())
    assert [run.series[0].values for run in diagnose([str(tmp_path)], []).runs] == [LOSSES, LOSSES]


def test_a_long_curve_is_bounded_and_keeps_its_extremes() -> None:
    series = Series("loss", Role("train", "loss"))
    for i in range(100_000):
        series.add(i, 50.0 if i == 70_001 else 1.0, i + 1)
    assert len(series) < MOST_POINTS
    top = max(series.points, key=lambda point: point.high)
    assert (top.high, top.line) == (50.0, 70_002)
    assert sum(point.count for point in series.points) == 100_000


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train/loss", "train_loss"),
        ("val_acc", "val_accuracy"),
        ("eval_loss", "val_loss"),
        ("lr", "learning_rate"),
        ("loss", "train_loss"),
        ("lr-Adam/pg1", "not recognised"),
        ("g_loss", "not recognised"),
        ("Test Accuracy", "test_accuracy"),
    ],
)
def test_names(name: str, role: str) -> None:
    assert str(role_of(name)) == role


def test_a_trend_is_sure_only_beyond_its_noise() -> None:
    steps = list(range(12))
    assert trend(steps, [5 - 0.1 * step for step in steps]).falls
    course = trend(steps, [1.0 + 0.1 * (-1) ** step for step in steps])
    assert not course.falls
    assert not course.rises


def test_the_command(project: Write, capsys: pytest.CaptureFixture[str]) -> None:
    project({"metrics.csv": "epoch,train_loss\n" + "".join(f"{i},{2 - i / 10}\n" for i in range(9)) + "9,nan\n"})
    assert main(["curves", "metrics.csv", "--plot", "out.html"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("metrics.csv:11:1: TC101 `train_loss` is NaN from step 9 on, after 1.2;")
    assert "metrics.csv: optimisation: the training loss is lost" in out
    assert "<svg" in Path("out.html").read_text("utf-8")
    assert "TC101" in Path("out.html").read_text("utf-8")
    assert main(["curves", "metrics.csv", "--ignore", "TC101"]) == 0
    assert main(["curves", "nowhere.csv"]) == 2


def test_a_given_name_plays_its_role(project: Write, capsys: pytest.CaptureFixture[str]) -> None:
    project({"metrics.csv": "n,L\n1,2\n2,1\n"})
    assert main(["curves", "metrics.csv", "--series", "train_loss=L", "--series", "step=n", "--show-series"]) == 0
    assert "L: train_loss (2 values)" in capsys.readouterr().out


def test_runs_of_one_export_are_told_apart(write: Write) -> None:
    names = [f"{run} - {name}" for run in ("seed1", "seed2") for name in ("train/loss", "train/loss__MIN", "val/acc")]
    rows = [[i, *(v / run for run in (1, 2) for v in (LOSSES[i], 0, i / 10))] for i in range(5)]
    rows[2][1:4] = ["", "", ""]
    text = "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in [["Step", *names], *rows])
    diagnosis = read(write, {"wandb_export.csv": text})
    assert [run.label for run in diagnosis.runs] == ["seed1", "seed2"]
    first, second = diagnosis.runs
    assert [series.steps for series in first.series] == [[0, 1, 3, 4], [0, 1, 3, 4]]
    loss = second.get("train", "loss")
    assert loss is not None
    assert (loss.name, loss.values) == ("seed2 - train/loss", [value / 2 for value in LOSSES])


def test_parts_of_the_data_are_no_runs(write: Write) -> None:
    (run,) = read(write, {"m.csv": "epoch,train - loss,val - loss\n1,2,3\n2,1,2\n"}).runs
    assert {str(role): series.values for role, series in run.roles.items()} == {
        "train_loss": [2, 1],
        "val_loss": [3, 2],
    }


def record(folder: Path, name: str, values: Mapping[int, float], tag: str = "train/loss") -> None:
    """Write an event file; the names of files are in the order of time."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder))
    for step, value in values.items():
        writer.add_event(Event(step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)])))
    writer.close()
    (written,) = [path for path in folder.iterdir() if not path.name.startswith("done")]
    written.rename(folder / f"done.{name}.tfevents")


def test_a_resumed_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    record(tmp_path, "1", {step: 2 - step / 100 for step in range(0, 60, 5)} | {60: math.nan})
    record(tmp_path, "2", {step: 2.01 - step / 100 for step in range(40, 100, 5)})
    record(tmp_path, "3", {step: 2.02 - step / 100 for step in range(100, 120, 5)})
    diagnosis = diagnose([str(tmp_path)], list(all_checks().values()))
    (run,) = diagnosis.runs
    assert run.series[0].steps == list(range(0, 120, 5))
    assert run.series[0].values[7:9] == pytest.approx([1.65, 1.61])
    assert [note for note in diagnosis.notes if "resumed at step" in note] == [
        f"{run.filename}: resumed at step 40: earlier records of this and later steps are passed over"
    ]
    assert not [finding for finding in diagnosis.findings if finding.code in ("TC101", "TC112")]


def test_two_runs_in_a_folder_are_no_resumed_run(tmp_path: Path) -> None:
    for name in "12":
        record(tmp_path, name, {step: 2 - int(name) * step / 100 for step in range(10)})
    findings = diagnose([str(tmp_path)], list(all_checks().values())).findings
    assert "TC112" in {finding.code for finding in findings}


def test_a_damaged_event_file_gives_what_stands_before(tmp_path: Path) -> None:
    record(tmp_path, "1", {step: 2 - step / 100 for step in range(50)})
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    diagnosis = diagnose([str(tmp_path)], [])
    assert ["damaged" in finding.message for finding in diagnosis.findings] == [True]
    assert 10 < len(diagnosis.runs[0].series[0]) < 40


def test_the_last_record_of_a_live_event_file_may_be_half_written(tmp_path: Path) -> None:
    record(tmp_path, "1", {step: 2 - step / 100 for step in range(50)})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-7])
    diagnosis = diagnose([str(tmp_path)], [])
    assert not diagnosis.findings
    assert len(diagnosis.runs[0].series[0]) == 49
