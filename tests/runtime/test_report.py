"""The report on a run: what it says is what was, and it stays small."""

from __future__ import annotations

import math
import os
import re
import struct
import sys
import zlib
from base64 import b64decode
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from conftest import Write
from reports.support import Element, Page
from torch import nn

from trainlint.cli import main
from trainlint.runtime import watch
from trainlint.runtime.callbacks import Watched
from trainlint.runtime.monitor import Monitor
from trainlint.runtime.report.measures import BINS, POINTS
from trainlint.runtime.report.page import write_run
from trainlint.runtime.report.recorder import Recorder
from trainlint.runtime.report.story import Story, Track

BAD = """\
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 2), nn.Softmax(dim=1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(12):
    y = torch.arange(8) % 2
    loss = nn.functional.cross_entropy(model(torch.rand(8, 3, 8, 8)), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def recorded(monitor: Monitor) -> Recorder:
    recorder = Recorder(monitor)
    monitor.attach(recorder)
    return recorder


def at_last(track: Track) -> float:
    return track.values[-1]


def opened(path: Path) -> Element:
    return Page(path.read_text("utf-8")).root


def section(root: Element, title: str) -> Element:
    (found,) = [one for one in root.all("section") if title in [heading.text for heading in one.all("h2")]]
    return found


# --- What is recorded ---


def test_what_is_recorded_is_what_was() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    model[0].bias.requires_grad_(False)
    optimizer = torch.optim.Adam([{"params": model[0].parameters(), "lr": 1e-2}, {"params": model[2].parameters()}])
    x, y = torch.randn(16, 4), torch.randint(3, (16,))
    with Monitor([]) as monitor:
        recorder = recorded(monitor)
        for _ in range(5):
            output = model(x)
            loss = F.cross_entropy(output, y)
            optimizer.zero_grad()
            loss.backward()
            before = [p.detach().clone() for p in model.parameters()]
            optimizer.step()
    story = recorder.story()
    assert story.steps == 5
    (losses,) = story.losses.values()
    assert losses.steps == [0, 1, 2, 3, 4]
    assert at_last(losses) == pytest.approx(loss.item())
    assert {name: at_last(track) for name, track in story.rates.items()} == {
        "Adam, group 0": 1e-2,
        "Adam, group 1": 1e-3,
    }
    first, tanh, last = story.layers
    assert [layer.name for layer in story.layers] == ["0", "1", "2"]
    assert [layer.kind for layer in story.layers] == ["Linear", "Tanh", "Linear"]
    assert not tanh.gradient.values
    assert at_last(last.activation) == pytest.approx(output.detach().square().mean().sqrt().item())
    assert at_last(first.gradient) == pytest.approx(model[0].weight.grad.norm().item())  # type: ignore[union-attr]
    changed = torch.cat([(now - then).flatten() for now, then in zip(model[2].parameters(), before[2:], strict=True)])
    size = torch.cat([then.flatten() for then in before[2:]])
    assert at_last(last.update) == pytest.approx((changed.norm() / size.norm()).item(), rel=1e-4)
    weight, bias, *others = story.parameters
    assert [row.name for row in story.parameters] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [row.trainable for row in story.parameters] == [True, False, True, True]
    assert [row.optimizer for row in story.parameters] == ["Adam, group 0"] * 2 + ["Adam, group 1"] * 2
    assert weight.weight == pytest.approx(before[0].mean().item(), rel=1e-4)
    assert others[0].gradient == pytest.approx(model[2].weight.grad.mean().item(), abs=1e-7)  # type: ignore[union-attr]
    assert bias.gradient is None
    assert [histogram.step for histogram in weight.weights] == [0, 4]
    assert [sum(histogram.counts) for histogram in weight.weights] == [32, 32]
    assert len(weight.weights[0].counts) == BINS


def test_two_models_of_one_class_are_told_apart() -> None:
    torch.manual_seed(0)
    make, judge = nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(2, 1))
    optimizers = [torch.optim.SGD(model.parameters(), 0.1) for model in (judge, make)]
    with Monitor([]) as monitor:
        recorder = recorded(monitor)
        for _ in range(4):
            fake = make(torch.randn(8, 2))
            for optimizer, given in zip(optimizers, (fake.detach(), fake), strict=True):
                optimizer.zero_grad()
                judge(given).square().mean().backward()
                optimizer.step()
    story = recorder.story()
    assert {(row.model, row.name, row.optimizer) for row in story.parameters} == {
        ("Sequential 1", "0.weight", "SGD 2"),
        ("Sequential 1", "0.bias", "SGD 2"),
        ("Sequential 2", "0.weight", "SGD"),
        ("Sequential 2", "0.bias", "SGD"),
    }
    assert all(layer.gradient.values for layer in story.layers)


@pytest.mark.parametrize("every", [1, 7])
def test_a_long_run_takes_no_more_room_and_is_shown_to_its_end(every: int) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    x = torch.randn(4, 2)
    with Monitor([], every=every) as monitor:
        recorder = recorded(monitor)
        for _ in range(3000):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    story = recorder.story()
    (layer,) = story.layers
    for track in (*story.losses.values(), *story.rates.values(), layer.activation, layer.gradient, layer.update):
        assert POINTS / 8 < len(track.steps) <= POINTS
        assert list(track.steps) == sorted(set(track.steps))
        assert track.steps[0] == 0
        assert track.steps[-1] > 2900


def test_nothing_is_kept_alive_and_odd_tensors_are_left_out() -> None:
    import gc
    import weakref

    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.Embedding(20, 4, sparse=True)
            self.spin = nn.Parameter(torch.ones(4, dtype=torch.complex64))
            self.none = nn.Parameter(torch.ones(0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (self.rows(x) * self.spin).abs().sum(-1)

    with Monitor([]) as monitor:
        recorder = recorded(monitor)
        model = Odd()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(12):
            optimizer.zero_grad()
            model(torch.arange(8)).mean().backward()
            optimizer.step()
        alive = [weakref.ref(model), weakref.ref(optimizer), weakref.ref(model.spin)]
        del model, optimizer
        gc.collect()
        assert [one() for one in alive] == [None] * 3
    assert not monitor.observations
    assert {row.name: row.weight is not None for row in recorder.story().parameters} == {
        "spin": False,
        "none": False,
        "rows.weight": True,
    }


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_numbers_that_are_lost_are_shown_as_such(lost: float, tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(report=tmp_path / "page.html") as watched:
        for step in range(12):
            optimizer.zero_grad()
            (model(torch.ones(4, 2)).mean() * (lost if step > 3 else 1)).backward()
            optimizer.step()
    assert not [finding for finding in watched.findings if finding.code == "TL002"]
    cells = [cell.text for cell in section(opened(tmp_path / "page.html"), "Parameters").all("td")]
    assert {"nan", "inf", "-inf"} & set(cells)


# --- The first batch ---


def pixels(image: Element) -> tuple[int, int, list[int]]:
    """Width, height and bytes of the picture in an element; rows without filters."""
    png = b64decode(str(image.attributes["src"]).removeprefix("data:image/png;base64,"))
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT") + 4
    (size,) = struct.unpack(">I", png[start - 8 : start - 4])
    raw = zlib.decompress(png[start : start + size])
    line = len(raw) // height
    return width, height, [byte for row in range(height) for byte in raw[row * line + 1 : (row + 1) * line]]


def first_batch(x: torch.Tensor, tmp_path: Path) -> Element:
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(report=tmp_path / "page.html"):
        F.cross_entropy(
            model(x.float()) if x.is_floating_point() else model(x / 1), torch.arange(len(x)) % 2
        ).backward()
        optimizer.step()
    return section(opened(tmp_path / "page.html"), "The first batch")


@pytest.mark.parametrize("is_last", [False, True])
def test_pictures_are_shown_from_the_least_value_to_the_greatest(is_last: bool, tmp_path: Path) -> None:
    x = torch.zeros(3, 3, 9, 12)
    x[0, 0], x[1, 2, 0, 0] = 1.0, -1.0
    found = first_batch(x.movedim(1, -1) if is_last else x, tmp_path)
    images = found.all("img")
    assert [pixels(image)[:2] for image in images] == [(12, 9)] * 3
    assert pixels(images[0])[2][:3] == [255, 128, 128]
    assert pixels(images[1])[2][:6] == [128, 128, 0, 128, 128, 128]
    assert [caption.text for caption in found.all("figcaption")] == ["0", "1", "0"]


def test_other_batches_are_numbers(tmp_path: Path) -> None:
    found = first_batch(torch.arange(80.0).reshape(4, 20), tmp_path)
    assert not found.all("img")
    rows = [[cell.text for cell in row.all("td")] for row in found.all("table")[0].all("tr")]
    assert rows[0] == [*map(str, range(16)), "…"]
    assert len(rows) == 4
    assert "4 × 20 of float32: least 0, greatest 79, mean 39.5" in found.text


# --- The page ---


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a launcher changes for the script is as it was for the next test."""
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setattr("sys.argv", [*sys.argv])
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def test_the_page_of_a_script(project: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project({"bad.py": BAD})
    environment = dict(os.environ)
    assert main(["run", "--report", "page.html", "-q", "bad.py"]) == 0
    assert dict(os.environ) == environment
    root = opened(folder / "page.html")
    (verdict,) = root.all("p", class_="verdict")
    assert verdict.text == "1 error in 12 steps of training"
    assert verdict.has("class", "error")
    (article,) = root.all("article")
    assert "TR202" in article.text
    assert article.all("mark")[0].text.startswith("nn.functional.cross_entropy(model(")
    assert [chart.attributes["aria-label"] for chart in section(root, "Course").all("svg")] == ["loss", "learning rate"]
    assert [code.text for code in section(root, "Layers").all("code")] == ["0", "1", "2", "3"]
    heads = [cell.text for cell in section(root, "Parameters").all("th")]
    assert heads == ["parameter", "shape", "trained by", "mean weight", "weights", "mean gradient", "gradients"]
    assert len(section(root, "The first batch").all("img")) == 8


def test_the_page_needs_nothing_from_elsewhere(project: Write) -> None:
    folder = project({"bad.py": BAD})
    main(["run", "--report", "page.html", "-q", "bad.py"])
    root = opened(folder / "page.html")
    (policy,) = (str(meta.attributes["content"]) for meta in root.all("meta") if "http-equiv" in meta.attributes)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    outside = root.all("section", id="rules")[0].all()
    addresses = [
        str(element.attributes[name])
        for element in root.all()
        for name in ("src", "href")
        if name in element.attributes and element not in outside
    ]
    assert addresses
    assert all(re.match(r"#|data:image/png;base64,", address) for address in addresses)
    assert not [element for element in root.all() if "style" in element.attributes]


def test_a_page_on_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "page.html", "</h1><script>", Story(0, {}, {}, [], [], []), [])
    root = opened(tmp_path / "page.html")
    assert root.all("p", class_="verdict")[0].text == "Nothing was found in 0 steps of training"
    assert root.all("p", class_="path")[0].text == "</h1><script>"
    assert not root.all("section")


def test_a_callback_writes_it_in_the_process_that_tells(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for is_telling in (False, True):
        watched = Watched(report=path)
        watched.begin(is_telling=is_telling)
        watched.end()
        assert bool(path.read_text("utf-8")) is is_telling


PARTS = """\
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

def parts():
    torch.manual_seed(0)
    x = torch.randn(256, 6)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    loader = DataLoader(TensorDataset(x, x[:, :3].argmax(1)), 32)
    return model, nn.functional.cross_entropy, loader, torch.optim.Adam(model.parameters(), 1e-2)
"""


def test_the_page_of_experiments(project: Write) -> None:
    folder = project({"tried_out.py": PARTS})
    options = ["--select", "TR604,TR307", "--max-seconds", "30", "-q", "--report", "page.html"]
    assert main(["preflight", "tried_out:parts", *options]) == 0
    root = opened(folder / "page.html")
    assert root.all("p", class_="verdict")[0].text == "Nothing was found in 2 experiments"
    rows = [[cell.text for cell in row.all("td")] for row in section(root, "Experiments").all("tr")][1:]
    assert [row[:3] for row in rows] == [
        ["TR307", "batch-mixing", "fine"],
        ["TR604", "learning-rate-range", "fine"],
    ]
    (chart,) = section(root, "What was measured").all("svg")
    assert "in use: 0.01" in [text.text for text in chart.all("text")]
