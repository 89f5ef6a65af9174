"""What happens in a run, as regions note it and rules ask for it: for each kind of event a record with named fields.

Every record begins with its kind, the node at which it happened and the file of that node.
"""

from __future__ import annotations

from collections import namedtuple
from typing import Any

# The fields after these three.
FIELDS = {
    # Regions: of which kind, and what a loop walks over or a `with` enters.
    "enter": "block value",
    "leave": "block",
    # Models: one was called (`mode` and `grad` as they were, `layers` says what in it depends on the mode and was not
    # put into the other one by itself), put into a mode, given weights from a file; a module was made; its
    # parameters were changed in place, take no gradients from now on, or take them again.
    "model": "module mode grad inputs loaded layers",
    "lent": "",  # a model was given to a call that runs it
    "mode": "module training",
    "loaded": "module maybe",
    "built": "instance",
    "edit": "module tensor",
    "frozen": "module",
    "thawed": "module",
    # Something, whatever it is, was asked to take gradients, or a model may have got other parameters.
    "released": "",
    "adapted": "module",  # it got adapters, which are learnt in place of all else
    # Something in a forward pass stopped gradients; the layers of a called module that none of them reach therefore,
    # each with what stopped them.
    "severed": "",
    "dissected": "module layers",
    # The step. `before` is the state of the optimizer's gradients, `scale` how they were scaled.
    "made": "instance",  # an optimizer or a scheduler
    "backward": "loss kept engine",
    "autograd": "value inputs",
    "gradient": "",
    "clear": "optimizer",  # None where it is not known whose gradients these are, a tensor for one that none holds
    "given": "optimizer",  # gradients of others were put in the place of its own
    "clip": "states spent way",
    "step": "optimizer before scaler scale",
    "resumed": "optimizer",  # given the state that it had in an earlier run
    "scheduler": "scheduler optimizers first given",
    "scaler_update": "scaler",
    # What becomes of outputs. A running total or list has got what it was `former`ly filled with in another loop.
    "loss": "path given result reduction target",
    "compare": "value",
    "predict": "value",
    "graphless": "value",  # handed as it is to NumPy, which fails if a graph was recorded, or to a loss of Keras
    "item": "value",
    "collect": "value",
    "threshold": "scores what",
    "squashed": "scores",  # by a sigmoid
    "ranked": "",
    "meter": "metric what",  # a metric object was fed, read or reset: by the name of its method, "" for a call of it
    "grown": "value loop handed",  # `handed`: the call that gave it to the function that keeps it
    "kept": "value loop",  # the same, as an entry of a row that a list gets
    "filled": "total former loop",
    "left_over": "added loop",  # added up or collected in a loop, though another one that has ended measured it
    # Training states that are values: one begins, one was taken a step further (None where it is not known which).
    "begun": "state learnt",
    "advanced": "state",
    "statistics": "kept",  # a training state that has statistics of batch norm got others, or only other parameters
    # Data. "trained" and "evaluated" tell what a loop over a loader did with it; "gathered": a model's outputs are
    # collected there; "walked": anything else.
    "dataset": "dataset",
    "loader": "loader",
    "next": "loader token draw",  # what marks the first batch of a new pass, and what marks this batch
    "anew": "loader",  # `iter` begins a pass
    "set_epoch": "sampler",
    "varied": "",  # an image was changed at random
    "cut": "whole shuffled way",  # a pipeline that is shuffled anew in each pass gives some samples; "take" or "skip"
    "split": "held by_chance split",  # what is known of what is held out; whether chance alone picks it; what tells it
    # from other splits
    "placed": "rows",  # rows at places that follow each other
    "masked": "part",  # what belongs to the nodes of one part is picked
    "folds": "made",  # rows are parted into folds, after so many objects were made
    "coded": "estimator data again given",  # `given`: the expression that the data came by
    "fitted": "estimator x y call",
    "folded": "estimator x",  # an estimator is fitted on folds of the data
    "scaled": "fit step",  # rows are dealt into folds, or picked by them, after single features were scaled
    "predicted": "estimator x",  # x is None where a model is judged on folds of its own
    "watched": "trainer judged given",  # an engine trains, and looks at these loaders on the way
    "tested": "loaders",  # and judges the model on these in the end
    "measured": "parts made",  # a score was computed on these parts of the data, of what these calls predicted
    "best": "scores parts",  # the best is looked for of scores, measured on these parts, that an expression holds
    "trained": "loader",
    "zipped": "sources",  # of what a call of `zip` goes through side by side, where these are known
    "evaluated": "loader",
    "gathered": "loader",
    "walked": "loader",
    # Code out of view: values that it may change, and all calls of it.
    "escape": "values",
    "outside": "path values",
    # The rest of the program.
    "seed": "",
    "setting": "path value",
    "named": "name",
    # Data that are meant to record no graph, as PyTorch before 0.4 asked for it.
    "volatile": "",
    # What rules note for themselves.
    "told": "rule",
    "alike": "start layer earlier",
    "partial": "module",
    "unguarded": "code value plan fields",
    "picked": "made scores at",
    "matched": "choice",
    "single": "",  # what a model gives here is one tensor
    "rated": "optimizer",
    "rushed": "optimizer",
    "stuck": "optimizer models",  # nothing that it holds takes gradients; what is trained
    "sorted": "others",  # parameters were put into a list that nobody reads, others into these
    "learnt": "",
    "unused": "",  # gradients that nobody looks at
    # A softmax was made without `dim`, by which name; or what was made there ran, and whether torch guessed right.
    "undimmed": "what",
    "idle": "term",
    "reordered": "key name tokens",
    "aside": "term",
    "handed": "weights",
    "paired": "",
    "given_transform": "dataset subset former now",  # of a data set and the part of it that it was reached by
    "selected": "where what judged own",  # in which file the comparison is; what was evaluated in its own loop
    "passed": "loader",
    "brought": "loader argument",  # by which argument of a call a loop was given what it goes through
}

RECORDS: dict[str, Any] = {
    kind: namedtuple(kind, ("kind", "node", "space", *fields.split())) for kind, fields in FIELDS.items()
}
