"""The plugin for pytest: fixtures that assert of a training that it learns, and a mark that watches a test.

Nothing of it imports PyTorch before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

_MARK = "trainlint(every, max_steps, select, ignore): watch the training in this test; it fails if anything is found"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", _MARK)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch the tests that are marked."""
    mark = item.get_closest_marker("trainlint")
    if mark is None:
        return (yield)
    from trainlint.runtime.testing import assert_no_findings

    try:
        with assert_no_findings(*mark.args, **mark.kwargs):
            return (yield)
    except AssertionError as error:
        if error.__traceback__ is not None and _is_ours(error):
            pytest.fail(str(error), pytrace=False)
        raise


def _is_ours(error: AssertionError) -> bool:
    """Whether it says what was found, and is not the test's own."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == "trainlint.runtime.testing"


@pytest.fixture
def assert_trains() -> Callable[..., Any]:
    """`trainlint.runtime.testing.assert_trains(model, loss, data, optimizer)`: it learns a few samples by heart."""
    from trainlint.runtime import testing

    return testing.assert_trains


@pytest.fixture
def assert_preflight() -> Callable[..., Any]:
    """`trainlint.runtime.testing.assert_preflight(model, loss, loader, optimizer)`: no experiment finds anything."""
    from trainlint.runtime import testing

    return testing.assert_preflight


@pytest.fixture
def assert_no_findings() -> Callable[..., Any]:
    """`with trainlint.runtime.testing.assert_no_findings(model, optimizer)`: nothing is found within."""
    from trainlint.runtime import testing

    return testing.assert_no_findings
