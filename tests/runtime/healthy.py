"""Small trainings of many kinds with nothing wrong in them: whatever is found here is a false alarm."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset, random_split

TRAININGS: dict[str, Callable[[], object]] = {}


def training(function: Callable[[], object]) -> Callable[[], object]:
    TRAININGS[function.__name__] = function
    return function


def rows(count: int = 512, features: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Standardised features and three classes that depend on them."""
    x = torch.randn(count, features)
    return x, (x[:, 0] + x[:, 1] * x[:, 2]).mul(2).add(1).clamp(0, 2.99).long()


def images(count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Images with a bright quarter, and which one it is."""
    labels = torch.randint(0, 4, (count,))
    x = 0.5 * torch.randn(count, 1, 12, 12)
    for i, label in enumerate(labels.tolist()):
        x[i, :, 6 * (label // 2) :, :][:, :6, 6 * (label % 2) :][:, :, :6] += 2
    return x, labels


def batches(x: torch.Tensor, y: torch.Tensor, epochs: int = 3) -> Iterator[list[torch.Tensor]]:
    loader = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
    for _ in range(epochs):
        yield from loader


def descend(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def classifying(model: nn.Module, optimizer: torch.optim.Optimizer) -> nn.Module:
    """Train a model on rows."""
    for inputs, labels in batches(*rows()):
        descend(optimizer, F.cross_entropy(model(inputs), labels))
    return model


@training
def mlp() -> nn.Module:
    x, y = rows()
    train, val = random_split(TensorDataset(x, y), [400, 112])
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    for _ in range(4):
        model.train()
        for inputs, labels in DataLoader(train, batch_size=32, shuffle=True):
            descend(optimizer, criterion(model(inputs), labels))
        model.eval()
        with torch.no_grad():
            for inputs, labels in DataLoader(val, batch_size=28):
                criterion(model(inputs), labels)
    return model


@training
def cnn_with_batch_norm() -> nn.Module:
    x, y = images()
    layers = (nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(288, 4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for inputs, labels in batches(x, y):
        loss = F.cross_entropy(model(inputs), labels)
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
    return model


class Residual(nn.Module):
    """A residual block whose last layer begins at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.outer(F.gelu(self.inner(self.norm(x))))


@training
def residual_with_zero_init() -> nn.Module:
    x, y = rows()
    model = nn.Sequential(nn.Linear(16, 32), Residual(32), Residual(32), nn.Linear(32, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for inputs, labels in batches(x, y):
        descend(optimizer, F.cross_entropy(model(inputs), labels, label_smoothing=0.1))
    return model


class Language(nn.Module):
    """A small causal transformer with tied weights."""

    def __init__(self, vocabulary: int = 20, width: int = 32) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.places = nn.Parameter(torch.zeros(16, width))
        layer = nn.TransformerEncoderLayer(width, 2, 64, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.head(self.encoder(self.tokens(x) + self.places[: x.shape[1]], mask=mask, is_causal=True))


@training
def transformer_with_warm_up() -> nn.Module:
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 10))
    for _ in range(40):
        start = torch.randint(0, 20, (16, 1))
        text = (start + torch.arange(13) * torch.randint(1, 3, (16, 1))) % 20
        logits = model(text[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, 20), text[:, 1:].reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        for _ in range(5):
            text = torch.cat([text, model(text[:, -12:])[:, -1:].argmax(-1)], 1)
    return model


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(30, 16, padding_idx=0)
        self.rnn = nn.LSTM(16, 24, num_layers=2, dropout=0.2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(48, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.embedding(x))[0])


@training
def lstm() -> nn.Module:
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(30):
        x = torch.randint(1, 30, (16, 10))
        x[:8, 7:] = 0
        tags = torch.where(x == 0, -100, (x > 15).long())
        loss = F.cross_entropy(model(x).transpose(1, 2), tags, ignore_index=-100)
        descend(optimizer, loss)
    return model


@training
def gan() -> nn.Module:
    """With the loss of the first paper, labels of its own, a detached and a second use of the generator."""
    generator = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4))
    critic = nn.Sequential(nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Dropout(0.1), nn.Linear(32, 1))
    first = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    second = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    real = torch.randn(512, 4) * torch.tensor([1.0, 2.0, 0.5, 1.0]) + 1
    for (batch,) in (item for _ in range(3) for item in DataLoader(TensorDataset(real), batch_size=32, shuffle=True)):
        ones, zeros = torch.ones(len(batch), 1), torch.zeros(len(batch), 1)
        with torch.no_grad():
            fake = generator(torch.randn(len(batch), 8))
        second.zero_grad()
        (criterion(critic(batch), ones) + criterion(critic(fake.detach()), zeros)).backward()
        second.step()
        first.zero_grad()
        criterion(critic(generator(torch.randn(len(batch), 8))), ones).backward()
        first.step()
    return generator


@training
def gan_with_several_critic_steps() -> nn.Module:
    """Wasserstein's, with clipped weights; the critic's gradients from the generator's step are cleared late."""
    generator, critic = nn.Linear(8, 4), nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    first = torch.optim.RMSprop(generator.parameters(), lr=1e-3)
    second = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
    for step in range(40):
        real = torch.randn(64, 4) + 2
        critic.zero_grad()
        (critic(generator(torch.randn(64, 8)).detach()).mean() - critic(real).mean()).backward()
        second.step()
        for parameter in critic.parameters():
            parameter.data.clamp_(-0.1, 0.1)
        if step % 3 == 2:
            generator.zero_grad()
            (-critic(generator(torch.randn(64, 8))).mean()).backward()
            first.step()
    return generator


@training
def vae() -> nn.Module:
    encoder, decoder = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 8)), nn.Linear(4, 16)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = rows()
    for inputs, _ in batches(x, y):
        mean, log_var = encoder(inputs).chunk(2, 1)
        sample = mean + torch.randn_like(mean) * (log_var / 2).exp()
        divergence = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1).mean()
        loss = F.mse_loss(decoder(sample), inputs, reduction="sum") / len(inputs) + divergence
        descend(optimizer, loss)
    return model


@training
def accumulation() -> nn.Module:
    x, y = rows()
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    optimizer.zero_grad()
    for step, (inputs, labels) in enumerate(batches(x, y, epochs=6)):
        (F.cross_entropy(model(inputs), labels) / 4).backward()
        if step % 4 == 3:
            optimizer.step()
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.data.zero_()
    return model


@training
def mixed_precision() -> nn.Module:
    x, y = rows()
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu")
    for inputs, labels in batches(x, y):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(inputs), labels)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    return model


@training
def moving_average_teacher() -> nn.Module:
    """Self-distillation: the teacher follows, in train mode and without gradients."""
    student = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16))
    teacher = copy.deepcopy(student).requires_grad_(False)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    x, y = rows()
    for inputs, _ in batches(x, y):
        with torch.no_grad():
            target = teacher(inputs + 0.1 * torch.randn_like(inputs))
        loss = F.mse_loss(student(inputs), target)
        descend(optimizer, loss)
        with torch.no_grad():
            for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
                old.lerp_(new, 0.05)
    return student


@training
def contrastive() -> nn.Module:
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = rows()
    for inputs, _ in batches(x, y):
        first = F.normalize(model(inputs + 0.1 * torch.randn_like(inputs)), dim=1)
        second = F.normalize(model(inputs + 0.1 * torch.randn_like(inputs)), dim=1)
        loss = F.cross_entropy(first @ second.T / 0.1, torch.arange(len(inputs)))
        descend(optimizer, loss)
    return model


@training
def policy_gradient() -> nn.Module:
    """A bandit with states, acting without gradients and in train mode."""
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    for _ in range(40):
        states = torch.randn(64, 4)
        with torch.no_grad():
            actions = torch.distributions.Categorical(logits=policy(states)).sample()
        rewards = (actions == states[:, :3].argmax(1)).float()
        losses = F.cross_entropy(policy(states), actions, reduction="none")
        loss = (losses * (rewards - rewards.mean())).mean()
        descend(optimizer, loss)
    return policy


@training
def q_learning() -> nn.Module:
    online = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    target = copy.deepcopy(online)
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-3)
    for step in range(60):
        states, following = torch.randn(32, 4), torch.randn(32, 4)
        actions, rewards = torch.randint(0, 2, (32, 1)), (states[:, 0] > 0).float()
        with torch.no_grad():
            wanted = rewards + 0.9 * target(following).amax(1)
        values = online(states).gather(1, actions).squeeze(1)
        descend(optimizer, F.smooth_l1_loss(values, wanted))
        if step % 10 == 9:
            target.load_state_dict(online.state_dict())
    return online


def pretrained() -> nn.Module:
    """A backbone that was trained: its weights are no longer as they were drawn."""
    backbone = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 32), nn.ReLU())
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.dim() > 1:
                left, right = torch.randn(parameter.shape[0], 3), torch.randn(3, parameter.shape[1])
                parameter.add_(0.1 * left @ right)
    return backbone


@training
def frozen_backbone() -> nn.Module:
    x, y = rows()
    backbone, head = pretrained(), nn.Linear(32, 3)
    for parameter in backbone.parameters():
        parameter.requires_grad = False
    model = nn.Sequential(backbone, head)
    optimizer = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    for inputs, labels in batches(x, y):
        model.train()
        backbone.eval()
        descend(optimizer, F.cross_entropy(model(inputs), labels))
    return model


@training
def head_on_features_without_graph() -> nn.Module:
    """The backbone is used under `no_grad`, and the optimizer is simply given everything."""
    x, y = rows()
    backbone, head = pretrained().eval(), nn.Linear(32, 3)
    optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=1e-2)
    for inputs, labels in batches(x, y):
        with torch.no_grad():
            features = backbone(inputs)
        descend(optimizer, F.cross_entropy(head(features), labels))
    return head


@training
def only_the_head_is_optimised() -> nn.Module:
    x, y = rows()
    model = nn.Sequential(pretrained(), nn.Linear(32, 3))
    optimizer = torch.optim.Adam(model[1].parameters(), lr=1e-2)
    for inputs, labels in batches(x, y):
        model.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return model


@training
def gradual_unfreezing() -> nn.Module:
    x, y = rows()
    backbone, head = pretrained(), nn.Linear(32, 3)
    backbone.requires_grad_(False)
    model = nn.Sequential(backbone, head)
    groups = [{"params": backbone.parameters(), "lr": 1e-4}, {"params": head.parameters(), "lr": 1e-3}]
    optimizer = torch.optim.Adam(groups)
    for step, (inputs, labels) in enumerate(batches(x, y, epochs=2)):
        if step == 5:
            backbone.requires_grad_(True)
        descend(optimizer, F.cross_entropy(model(inputs), labels))
    return model


class Adapted(nn.Module):
    """A frozen layer with a low-rank addition that begins at zero."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, 4, bias=False)
        self.up = nn.Linear(4, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + self.up(self.down(x))


@training
def low_rank_adaptation() -> nn.Module:
    backbone = pretrained()
    layers = [Adapted(layer) if isinstance(layer, nn.Linear) else layer for layer in backbone]
    model = nn.Sequential(*layers, nn.Linear(32, 3))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    return classifying(model, optimizer)


@training
def several_optimizers() -> nn.Module:
    encoder, decoder = nn.Sequential(nn.Linear(16, 32), nn.ReLU()), nn.Linear(32, 16)
    first, second = torch.optim.Adam(encoder.parameters()), torch.optim.SGD(decoder.parameters(), lr=0.1)
    x, y = rows()
    for inputs, _ in batches(x, y):
        loss = ((decoder(encoder(inputs)) - inputs) ** 2).mean()
        first.zero_grad()
        second.zero_grad()
        loss.backward()
        first.step()
        second.step()
    return decoder


@training
def regression_on_all_data_at_once() -> nn.Module:
    x = torch.linspace(-1, 1, 100)[:, None]
    y = 3 * x + 0.1 * torch.randn(100, 1)
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(60):
        loss = torch.mean((model(x) - y) ** 2)
        descend(optimizer, loss)
    return model


@training
def quasi_newton() -> nn.Module:
    x, _ = rows(128, 8)
    y = x[:, :1] - 2 * x[:, 1:2]
    model = nn.Linear(8, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    for _ in range(15):
        optimizer.step(closure)
    return model


@training
def many_labels() -> nn.Module:
    x, _ = rows()
    y = (x[:, :5] > 0).float()
    model = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 5))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for inputs, labels in batches(x, y):
        descend(optimizer, F.binary_cross_entropy_with_logits(model(inputs), labels))
    return model


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 32), nn.ReLU())
        self.last = nn.Linear(32, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = checkpoint(self.first, x, use_reentrant=False)
        return self.last(hidden)


@training
def gradient_checkpointing() -> nn.Module:
    model = Checkpointed()
    return classifying(model, torch.optim.SGD(model.parameters(), lr=0.1))


@training
def adversarial_domains() -> nn.Module:
    """Two domains with labels that the program makes, and a reversed gradient."""
    features, domains = nn.Sequential(nn.Linear(16, 32), nn.ReLU()), nn.Linear(32, 2)
    optimizer = torch.optim.Adam([*features.parameters(), *domains.parameters()], lr=1e-3)
    for _ in range(40):
        source, target = torch.randn(32, 16), torch.randn(32, 16) + 1
        loss = torch.zeros(())
        for inputs, domain in ((source, 0), (target, 1)):
            hidden = features(inputs)
            reverse = hidden.detach() * 2 - hidden
            loss = loss + F.cross_entropy(domains(reverse), torch.full((32,), domain))
        descend(optimizer, loss)
    return features


class Detector(nn.Module):
    """Finds a class and a place."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
        self.kind, self.box = nn.Linear(1152, 4), nn.Linear(1152, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = self.body(x)
        return self.kind(hidden), self.box(hidden)


@training
def two_tasks_with_evaluations() -> nn.Module:
    """Two losses of one output each, augmented in training, evaluated in order and in eval mode."""
    x, y = images(192)
    model = Detector()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    valid = DataLoader(TensorDataset(x[128:], y[128:]), batch_size=32)
    for _ in range(4):
        model.train()
        for inputs, labels in batches(x[:128], y[:128], 1):
            kinds, boxes = model(inputs + 0.1 * torch.randn_like(inputs))
            places = torch.stack([labels // 2, labels % 2], 1).float()
            descend(optimizer, F.cross_entropy(kinds, labels) + 0.5 * F.smooth_l1_loss(boxes, places))
        model.eval()
        with torch.inference_mode():
            for inputs, labels in valid:
                F.cross_entropy(model(inputs)[0], labels)
    return model


@training
def a_rare_class() -> nn.Module:
    x, _ = rows(1024)
    y = (x[:, 0] > 1.3).long()
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for inputs, labels in batches(x, y):
        descend(optimizer, F.cross_entropy(model(inputs), labels))
    return model


@training
def distilled_and_clipped() -> nn.Module:
    """From a teacher with other features, by its scores as well as by the labels."""
    x, y = rows()
    teacher, model = nn.Sequential(pretrained(), nn.Linear(32, 3)).eval(), nn.Linear(16, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for inputs, labels in batches(x, y):
        with torch.no_grad():
            wanted = teacher(inputs)
        scores = model(inputs)
        loss = F.cross_entropy(scores, labels) + 0.5 * F.mse_loss(scores, wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    return model
