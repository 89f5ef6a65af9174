"""What could not be judged is said, with the reason."""

from __future__ import annotations

import pytest
from conftest import Write

from trainlint.cli import main
from trainlint.curves.checks import all_checks
from trainlint.curves.diagnosis import diagnose

CHECKS = all_checks()


def reasons(write: Write, text: str) -> dict[str, str]:
    """By code, why it could not be judged."""
    diagnosis = diagnose([str(write({"metrics.csv": text}) / "metrics.csv")], list(CHECKS.values()))
    assert not diagnosis.findings
    words = (note.split(" cannot be judged: ") for note in diagnosis.notes)
    return {before.split()[-2]: reason for before, reason in words}


def table(names: str, count: int) -> str:
    """A record of so many rows in which nothing is wrong."""
    values = {"epoch": lambda i: i, "lr": lambda i: 0.001 * 0.9**i, "acc": lambda i: 0.5 + i / 100}
    rows = [
        [values.get(name.rpartition("_")[2], lambda i: 0.2 + 0.5**i)(i) for name in names.split(",")]
        for i in range(count)
    ]
    return names + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def test_a_record_of_almost_nothing_is_judged_by_no_check(write: Write) -> None:
    assert set(reasons(write, table("val_acc,train_acc", 3))) == set(CHECKS)


def test_a_record_of_everything_is_judged_by_all_checks_of_one_run(write: Write) -> None:
    names = "epoch,train_loss,val_loss,test_loss,val_acc,train_acc,lr"
    text = table(names, 30)
    diagnosis = diagnose(
        [str(write({"metrics.csv": text}) / "metrics.csv")], list(CHECKS.values()), facts={"classes": 10}
    )
    assert [note.split()[0] for note in diagnosis.notes] == ["TC115", "TC116"]


@pytest.mark.parametrize(
    ("names", "count", "code", "reason"),
    [
        ("epoch,val_acc", 30, "TC101", "no loss was recorded"),
        ("epoch,train_loss", 5, "TC102", "it needs 8 points of the training loss, and there are 5"),
        ("epoch,train_loss", 12, "TC103", "it needs 20 points of the training loss, and there are 12"),
        ("epoch,val_loss", 30, "TC104", "no training loss was recorded"),
        ("epoch,train_loss", 30, "TC105", "swings of few records cannot be told from noise of batches"),
        ("epoch,train_loss", 30, "TC106", "no held-out loss was recorded"),
        ("epoch,train_loss,val_loss", 30, "TC107", "no held-out accuracy was recorded"),
        ("epoch,train_loss,val_loss", 30, "TC108", "whether a loss is large takes --classes or --target-variance"),
        ("epoch,train_loss,val_loss", 30, "TC109", "no test loss was recorded"),
        ("epoch,train_loss,val_loss", 12, "TC110", "it needs 16 points of the training loss, and there are 12"),
        ("epoch,train_loss,val_loss", 30, "TC111", "no learning rate was recorded"),
        ("train_loss,val_loss", 30, "TC112", "no step and no epoch was recorded"),
        ("epoch,train_loss", 30, "TC113", "no held-out loss was recorded"),
        ("epoch,train_loss,val_loss", 9, "TC114", "it needs 12 points of the held-out loss, and there are 9"),
        ("epoch,train_loss", 30, "TC115", "it needs three runs whose names differ by a fold or a seed"),
        ("epoch,train_loss", 30, "TC116", "it needs runs of two depths"),
        ("epoch,train_loss", 30, "TC117", "no learning rate was recorded"),
    ],
)
def test_each_check_says_what_it_lacks(write: Write, names: str, count: int, code: str, reason: str) -> None:
    assert reasons(write, table(names, count))[code].startswith(reason)


def test_the_command_counts_the_remarks_and_shows_them(project: Write, capsys: pytest.CaptureFixture[str]) -> None:
    project({"metrics.csv": table("epoch,train_loss", 12)})
    main(["curves", "metrics.csv"])
    assert "remarks, shown by -v." in capsys.readouterr().err
    main(["curves", "metrics.csv", "-v"])
    assert "metrics.csv: TC106 overfitting cannot be judged: no held-out loss was recorded" in capsys.readouterr().err
