"""A training in one script, for peers that rewrite a script: prints the milliseconds that each step took.

`TRAINING` names the model and its batches, as in overhead.py, which lies in the folder `BENCHMARKS`, and `STEPS` says
how many steps there are.
"""

import os
import sys
import time

import torch
import torch.nn.functional as F  # noqa: N812

sys.path.insert(0, os.environ["BENCHMARKS"])  # a rewritten copy runs elsewhere
from overhead import WORK

make, batch, _ = WORK[os.environ["TRAINING"]]
torch.set_num_threads(1)
torch.manual_seed(0)
model = make()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
batches = [batch() for _ in range(8)]
for step in range(int(os.environ["STEPS"])):
    x, y = batches[step % len(batches)]
    start = time.process_time_ns()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    print("STEP", (time.process_time_ns() - start) / 1e6, flush=True)
