"""The networks of one data set, the examples that are made on them, and who is right on these."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from art_disc.attacks import ATTACKS, LatentCodeAttack, attack_table
from art_disc.core.budget import Budget
from art_disc.core.checks import BoolArray, Float32Array
from art_disc.core.errors import InputError
from art_disc.core.files import read_npz, write_npz
from art_disc.core.records import Share
from art_disc.core.records.base import Environment
from art_disc.core.seeds import derive_seed
from art_disc.core.showing import Shown
from art_disc.data import Dataset
from art_disc.defences import LQVAEFilter, traits
from art_disc.estimators import DefendedClassifier, build_classifier
from art_disc.networks import weights_hash
from art_disc.reproduction.purifier_recipes import trained_classifier, trained_lqvae
from art_disc.training import LQVAE
from art_disc.trials.score import predict_labels
from art_disc.trials.trial import Trial, run_trial

# an attack's images at once; part of what makes a run repeatable
_ROWS = 100


@dataclass(frozen=True, eq=False)
class Judged(Shown):
    """One classifier, with what stands before it.

    Attributes:
        classifier: For images in [0, 1].
        network: Architecture and training, in words.
        right: Whether each test image that there is is classified rightly as it is.
    """

    classifier: DefendedClassifier
    network: str
    right: BoolArray

    @property
    def clean(self) -> Share:
        """Accuracy without an attack."""
        return Share.of(self.right)


@dataclass(eq=False)
class Bench(Shown):
    """The networks of one data set; each is trained, and looked at, once.

    Attributes:
        data: Its images.
        n_ex: The first so many test images are attacked.
        preset: Of the LQ-VAE.
        train_steps: Batches in place of the recipes'; None: theirs.
        settings: Of attacks, `{"cw_l2.max_iter": 20}`, over the usual ones.
        seed: Of trainings and attacks.
        out: Folder of adversarial images.
        verbose: Show progress bars.
    """

    data: Dataset
    n_ex: int
    out: Path
    preset: str = "code"
    train_steps: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    verbose: bool = True

    def __post_init__(self) -> None:
        self.part = self.data.part(self.n_ex)
        self._judged: dict[tuple[str, str], Judged] = {}

    @cached_property
    def vae(self) -> LQVAE:
        """The LQ-VAE of the data set, looked at through the first classifier that there is."""
        known = [one.classifier for (_, name), one in self._judged.items() if name == "none"]
        return trained_lqvae(
            self.data,
            self.preset,
            classifier=next(iter(known), None),
            train_steps=self.train_steps,
            seed=self.seed,
            verbose=self.verbose,
        )

    def judged(self, model: str, defence: str = "none") -> Judged:
        """Return a classifier with a defence: a training of its own, or `lqvae` before it."""
        if (model, defence) not in self._judged:
            classifier, words = self._made(model, defence)
            self._judged[model, defence] = Judged(classifier, words, self.right(classifier))
        return self._judged[model, defence]

    def right(self, classifier: DefendedClassifier) -> BoolArray:
        """Whether each test image that there is is classified rightly as it is."""
        predicted = predict_labels(classifier, self.data.x_test)
        return np.asarray(predicted == self.data.y_test)

    def _made(self, model: str, defence: str) -> tuple[DefendedClassifier, str]:
        if defence == "lqvae":
            self.judged(model)
            network = self.vae.network
            words = (
                f"LQ-VAE: {self.preset}, {self.vae.steps} steps, weights {weights_hash(network)}"
            )
            return self.behind(model, LQVAEFilter(network)), words
        made = trained_classifier(
            self.data,
            model,
            defence,
            train_steps=self.train_steps,
            seed=self.seed,
            verbose=self.verbose,
        )
        return made.classifier, f"{model}: {made.training}"

    def behind(self, model: str, purifier: LQVAEFilter, **options: Any) -> DefendedClassifier:
        """Return the naturally trained classifier behind a filter; see `build_classifier`."""
        base = self.judged(model).classifier.base_network
        return build_classifier(base, data=self.data, defences=[purifier], **options)

    def left(self, judged: Judged, images: Float32Array) -> BoolArray:
        """Whether each attacked example is right as it is, and as the attack made it."""
        after = predict_labels(judged.classifier, images) == self.part.y_test
        return np.asarray(judged.right[: self.n_ex] & after)

    def examples(self, source: Judged, attack: str, eps: float | None) -> tuple[Float32Array, str]:
        """Return adversarial images made on a classifier, kept in `out`, and the attack in words.

        Args:
            source: Whose gradients it takes.
            attack: A name of the table of attacks.
            eps: l_inf budget in [0, 1]; None: the attack goes as far as it must.

        Raises:
            InputError: It cannot run so.
        """
        x = self.part.x_test
        # no image is further than that from another
        budget = Budget(float(np.sqrt(x[0].size)), "2") if eps is None else Budget(eps)
        changes = {k: v for k, v in self.settings.items() if k.split(".")[0] == attack}
        ((spec, own),) = attack_table([attack], changes)
        settings, refusal = spec.planned(source.classifier, budget.norm, own, targeted=False)
        if refusal:
            msg = f"{attack} cannot make these examples: it {refusal}"
            raise InputError(msg)
        numbers = ", ".join(f"{key} {value:g}" for key, value in sorted(settings.items()))
        words = f"{ATTACKS[attack].label}{f' ({numbers})' if numbers else ''}"
        make = spec.on(source.classifier, budget, settings, batch_size=_ROWS)
        return self.attacked(source, attack, make, budget, words), words

    def aimed(self, source: Judged, eps: float, among: BoolArray) -> Float32Array:
        """Return what `LatentCodeAttack` makes of some images within a budget, kept in `out`."""
        make = partial(LatentCodeAttack, source.classifier, eps=eps, verbose=False)
        return self.attacked(source, "latent_code", make, Budget(eps), "LatentCodeAttack", among)

    def attacked(
        self,
        source: Judged,
        name: str,
        make: Callable[[], Any],
        budget: Budget,
        words: str,
        among: BoolArray | None = None,
    ) -> Float32Array:
        """Return adversarial images made on a classifier, each part kept in `out` as it is done.

        Args:
            source: The classifier, with all that stands before it.
            name: Of the attack, in its files' names.
            make: Makes the attack.
            budget: Within which its images are.
            words: What tells it from others of the name.
            among: Which images are attacked (n_ex,), the others stay as they are; None: all.
        """
        classifier, x, y = source.classifier, self.part.x_test, self.part.y_test
        some = np.ones(len(x), dtype=bool) if among is None else among
        asked = (
            weights_hash(classifier.base_network),
            [traits(defence).facts() for defence in classifier.defences],
            words, budget.eps, budget.norm, self.seed, self.data.fingerprint,
            # images of other code would be told as this one's
            some.tobytes(), Environment.here().decisive,
        )  # fmt: skip
        key = hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
        parts = []
        with tqdm(total=len(x), desc=name, unit="image", disable=not self.verbose) as bar:
            for start in range(0, len(x), _ROWS):
                own = slice(start, start + _ROWS)
                rows = f"{start}-{start + len(x[own])}"
                file = self.out / "examples" / f"{self.data.name}-{name}-{key}-{rows}.npz"
                if not file.is_file():
                    seeds, at = partial(derive_seed, self.seed, name, start), some[own]
                    made = x[own].copy()
                    if at.any():
                        given = made[at], y[own][at]
                        trial = Trial(make, classifier, *given, budget, seeds, _ROWS)
                        made[at] = run_trial(trial).images
                    write_npz(file, {"x": made})
                parts.append(read_npz(file)["x"].astype(np.float32))
                bar.update(len(parts[-1]))
        return np.concatenate(parts)
