"""C18: an attack that works finds an example that is known to be there.

Zimmermann, Brendel, Tramer, Carlini 2022 (Increasing confidence in adversarial robustness
evaluations), section 4: the last layer is replaced by a two-class readout that tells one point on
the border of the ball from many points inside it. By construction there is an adversarial example
within the budget; an attack that does not find it says nothing where it finds nothing.
"""

from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from art_disc.attacks import ATTACKS
from art_disc.attacks.random_search import RandomSearch, draw_changes
from art_disc.core.checks import Float32Array, Float64Array
from art_disc.core.seeds import derive_seed
from art_disc.estimators import build_classifier
from art_disc.estimators.applied import behind
from art_disc.estimators.contract import WhiteBoxClassifier
from art_disc.estimators.signs import own_signs
from art_disc.evaluation.checks.base import Check, Finding, judged, not_run
from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.checks.probes import one_draw
from art_disc.evaluation.sources import gradient_sources
from art_disc.trials import Trial, run_trial
from art_disc.trials.score import predict_labels

INNER, TRIES, BORDER, PENALTY, RANDOM_DRAWS = 400, 5, 0.25, 1.0, 200


class Readout(nn.Module):
    """The network up to its last linear layer, and two logits: 0 and w . features + b."""

    w: Tensor

    def __init__(self, network: nn.Module, last: nn.Linear, w: Any, b: float) -> None:
        super().__init__()
        self.network, self.last = network, [last]
        self.register_buffer("w", torch.tensor(np.asarray(w), dtype=torch.float32))
        self.b = b

    def features(self, x: Tensor) -> Tensor:
        """Return what the last linear layer is given."""
        seen: list[Tensor] = []
        with self.last[0].register_forward_hook(lambda _m, given, _o: seen.append(given[0])):
            self.network(x)
        return seen[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return two logits."""
        planted = torch.mv(self.features(x), self.w) + self.b
        return torch.stack([torch.zeros_like(planted), planted], dim=1)


def _features(ctx: Context, readout: Readout, x: Float32Array) -> Float64Array:
    """Return features of images behind the defence."""
    model = one_draw(ctx.classifier)
    defended = behind(model.defences, x)
    with torch.no_grad():
        given = model.standardised(torch.tensor(defended, device=model.device))
        return np.asarray(readout.features(given).cpu().numpy(), dtype=np.float64)


def _ball(ctx: Context, x: Float32Array, n: int, seed: int) -> Float32Array:
    """Draw points as random search does: every other one a corner of the ball's box."""
    drawn = draw_changes(np.random.default_rng(seed), (n, *x.shape), ctx.eps, ctx.norm)
    return np.asarray(np.clip(x + drawn, 0, np.float32(ctx.run.upper)), dtype=np.float32)


def _plant(ctx: Context, last: nn.Linear, x: Float32Array, seed: int) -> WhiteBoxClassifier | None:
    """Return a two-class model with a planted example around x, or None if none could be made."""
    from sklearn.linear_model import LogisticRegression

    network = ctx.classifier.base_network
    blank = Readout(network, last, np.zeros(last.in_features), 0.0)
    inside = _features(ctx, blank, np.concatenate([x[None], _ball(ctx, x, INNER, seed)]))
    for attempt in range(1, TRIES + 1):
        outside = _features(ctx, blank, _ball(ctx, x, 1, seed + attempt))
        # a unit that is dead inside the ball would lead nowhere, whatever the attack
        alive = inside.std(axis=0) > 0.1 * inside.std()
        points = np.concatenate([inside, outside]) * alive / inside.std()
        labels = np.r_[np.zeros(len(inside)), 1]
        fit = LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=500)
        w = fit.fit(points, labels).coef_[0] * alive
        top, planted = (inside @ w).max(), float((outside @ w)[0])
        if planted > top + 1e-3 * np.ptp(inside @ w):
            # nearer to the planted point the readout is harder to reach by chance
            border = top + BORDER * (planted - top)
            # logits of a few units: larger ones would have a cross-entropy of exactly zero
            unit = 5 / max(border - float(np.median(inside @ w)), 1e-9)
            readout = Readout(network, last, w * unit, -border * unit)
            model = build_classifier(
                readout.to(ctx.classifier.device),
                input_shape=ctx.classifier.input_shape,
                nb_classes=2,
                defences=ctx.classifier.defences,
                clip_values=(0.0, ctx.run.upper),
                channels_first=ctx.classifier.channels_first,
                preprocessing=ctx.classifier.standardisation,
                placement=ctx.classifier.placement,
            )
            # the same gradient of a binarised network's signs
            if signs := own_signs(ctx.classifier):
                model = model.with_surrogate(signs)
            # a point that only some draws of a random model reach would be no planted example
            return cast("WhiteBoxClassifier", one_draw(model))
    return None


def _linear(ctx: Context) -> list[nn.Linear]:
    return [m for m in ctx.classifier.base_network.modules() if isinstance(m, nn.Linear)]


def _no_layer(ctx: Context) -> str:
    missing = (
        "the network has no linear layer whose inputs could be read out; a network that ends in "
        "one, or tier standard, which does without"
    )
    return "" if _linear(ctx) else missing


def planted_example(ctx: Context) -> Finding:
    """C18: the attack finds planted examples, guessing does not."""
    if why := _no_layer(ctx):
        return not_run(why)
    layers = _linear(ctx)
    n = min(ctx.options.n_random, ctx.n)
    made, guessed, missed = 0, 0, np.zeros(n, dtype=bool)
    for i in range(n):
        seed, x = derive_seed(ctx.run.seed, "planted", i), ctx.x[i : i + 1]
        model = _plant(ctx, layers[-1], x[0], seed)
        if model is None or predict_labels(model, x)[0] != 0:
            continue
        made += 1
        found, lucky = _attacked(ctx, model, x, seed)
        missed[i] = not found
        guessed += lucky
    if made < 10:
        return not_run(f"only {made} of {n} examples could be planted: the ball changes too little")
    share, chance = (made - int(missed.sum())) / made, guessed / made
    t = ctx.thresholds
    return judged(
        share >= t.planted and chance <= t.planted_random,
        f"the attack found {share:.0%} of {made} planted examples, {RANDOM_DRAWS} random draws "
        f"{chance:.0%}",
        ctx.ids(missed),
        found=share,
        found_at_random=chance,
        planted=float(made),
    )


def _attacked(
    ctx: Context, model: WhiteBoxClassifier, x: Float32Array, seed: int
) -> tuple[bool, bool]:
    """Whether PGD through any surrogate of the evaluation finds class 1, and whether guesses do."""

    def finds(make: Any, source: WhiteBoxClassifier) -> bool:
        zero = np.zeros(1, dtype=np.int64)
        made = run_trial(Trial(make, source, x, zero, ctx.budget, seeds=lambda _: seed))
        return bool(predict_labels(model, made.images)[0] != 0)

    names = [s.wanted for s in ctx.white_box if s.wanted is not None]
    sources = [s.classifier for s in gradient_sources(model, names) if s.name != "base"]
    pgd = partial(ATTACKS["pgd"].on, budget=ctx.budget, settings=ctx.settings("pgd"), batch_size=1)
    guess = partial(RandomSearch, model, ctx.eps, ctx.norm, RANDOM_DRAWS, seed=seed)
    return any(finds(pgd(source), source) for source in sources), finds(guess, model)


CHECKS = (
    Check(
        "C18", "Planted examples are found", "full",
        "the attack misses examples that are there: more steps, restarts or another surrogate",
        planted_example, None, _no_layer,
    ),
)  # fmt: skip
