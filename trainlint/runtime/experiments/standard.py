"""Whether model and optimizer learn what a small network learns."""

from __future__ import annotations

from trainlint.findings import Severity
from trainlint.runtime.experiments import Experiment, Result, Unjudged
from trainlint.runtime.experiments.learning import ARRIVED, FAR, floor_of, gap, learn_on
from trainlint.runtime.experiments.subject import Clock, Subject
from trainlint.runtime.experiments.tasks import Reference, standard_task

SAMPLES = 64


class StandardTaskFails(Experiment):
    """Model and optimizer do not learn a task that a small network learns."""

    code, name = "TR608", "standard-task-fails"
    severity = Severity.ERROR
    message = (
        "{model} with its optimizer does not learn samples made to be easy (loss from {first:.3g} to {last:.3g} "
        "in {steps} steps, {reference:.2g} with a small network); the fault is not in the data"
    )

    def run(self, subject: Subject, clock: Clock) -> Result:
        """Exchange the data for such as is known to be learnt, and the model for one that is known to learn."""
        samples = standard_task(subject.pool().at(slice(0, SAMPLES)))
        trial = subject.trial()
        floor = floor_of(trial, samples)
        if floor is None:
            raise Unjudged("the least value that the loss can have is not known")
        gap(trial.judged(samples), floor)
        small = subject.trial(Reference(samples, trial.outputs(samples)))
        reference = learn_on(small, samples, clock, floor)
        if reference.closed(floor) < ARRIVED:
            raise Unjudged(f"a small network gets from {reference.first:.3g} to {reference.last:.3g} only")
        course = learn_on(trial, samples, clock, floor)
        measured = (
            f"loss from {course.first:.3g} to {course.last:.3g} in {len(course.losses)} steps on samples made to be "
            f"easy, to {reference.last:.2g} in {len(reference.losses)} with a small network"
        )
        if course.closed(floor) >= FAR:
            return Result(measured)
        if not course.stands_still(floor):
            raise Unjudged(f"{measured}, and still falls")
        last = course.last if course.is_finite else course.losses[-1]
        return Result(
            measured,
            self.message.format(
                model=subject.model_name,
                first=course.first,
                last=last,
                steps=len(course.losses),
                reference=reference.last,
            ),
        )
