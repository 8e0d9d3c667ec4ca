"""From command-line options to the words of `art_disc.training.words`."""

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence

from torch import nn

from art_disc.attacks import attack_table
from art_disc.cli.options import given, say, settings_of
from art_disc.codebooks import Codebook
from art_disc.core.budget import each_budget
from art_disc.core.errors import InputError
from art_disc.core.inputs import Inputs
from art_disc.data import Dataset
from art_disc.defences import MapPreprocessor
from art_disc.estimators import DefendedClassifier
from art_disc.training import Adversary, words


def load_data(options: Namespace) -> Dataset:
    """Return the data set of `--dataset`, `--data-dir`, `--n-ex` and `--stratified`."""
    part = given(options, "n_ex", "stratified", "seed")
    return words.load_part(options.dataset, options.data_dir, **part)


def attack_settings(options: Namespace) -> dict[str, str]:
    """Return the settings of `--set`; what is misspelt shows before a network is trained."""
    settings = settings_of(options)
    attack_table(options.attacks, settings)
    return settings


def budgets(options: Namespace, data: Dataset) -> list[float]:
    """Return `--eps`, each checked, or the usual budgets for such images in l_inf.

    Commands ask for them before they train anything.
    """
    if options.eps is not None:
        inputs = Inputs(1.0, data.input_shape, data.nb_classes)
        return [inputs.budget(eps, norm=_norm(options)) for eps in each_budget(options.eps)]
    if _norm(options) != "inf":
        msg = "--norm 2 needs --eps; the usual budgets are for l_inf"
        raise InputError(msg)
    return words.usual_budgets(data)


def network_words(options: Namespace, data: Dataset) -> words.NetworkWords:
    """Return what `--model`, `--weights`, `--training` and those around them say."""
    adversary, eps = None, options.train_eps
    if options.training == "natural":
        if eps is not None:
            msg = "--train-eps needs --training pgd or single_step"
            raise InputError(msg)
    else:
        if eps is None and _norm(options) != "inf":
            msg = "--norm 2 with --training needs --train-eps, an l_inf budget"
            raise InputError(msg)
        eps = min(budgets(options, data)) if eps is None else eps
        adversary = Adversary(eps, options.training)
    return words.NetworkWords(
        model=options.model,
        network=options.network,
        weights=options.weights,
        adversary=adversary,
        epochs=options.epochs,
        seed=options.seed,
        retrain=options.retrain,
        device=options.device,
        verbose=not options.quiet,
    )


def make_classifier(
    options: Namespace, data: Dataset, defence: str | None = None
) -> tuple[DefendedClassifier, str]:
    """Return the classifier behind `defence` (None: `--defence`), and how it was trained."""
    defences = words.fitted_defences(defence or options.defence, data)
    return words.make_classifier(network_words(options, data), data, defences)


def make_reference(
    options: Namespace, data: Dataset, classifier: DefendedClassifier
) -> nn.Module | None:
    """Return the adversarially trained network of `--reference`, or None where there is none.

    Where the checks need one and none is given, it is trained at the largest budget; why not, where
    that cannot be, is said.
    """
    named = options.reference not in ("auto", "none")
    needed = options.checks in ("standard", "full")
    if not named and (options.reference == "none" or not needed):
        return None
    reasons = {
        "it would be trained in l_inf, not in the norm of --norm 2": _norm(options) != "inf",
        "the network is your own, and how it is trained is too": options.model or options.weights,
        f"{data.name} has no training images": not len(data.x_train),
    }
    why = next((reason for reason, holds in reasons.items() if holds), "")
    if why and not named:
        say(options, f"no adversarially trained reference: {why}; give weights, --reference FILE")
        return None
    return words.make_reference(
        classifier,
        data,
        eps=max(budgets(options, data)),
        weights=options.reference if named else None,
        seed=options.seed,
        verbose=not options.quiet,
    )


def one_codebook(defences: Sequence[MapPreprocessor], text: str) -> Codebook:
    """Return the codebook of the one defence there is; refuse others, or one without."""
    book = defences[0].codebook if len(defences) == 1 else None
    if book is None:
        msg = f"--defence {text} is not one codebook; see art-disc evaluate --help for those"
        raise InputError(msg)
    return book


def once_each(texts: Sequence[str]) -> Sequence[str]:
    """Return the words of a repeatable `--defence`; refuse one that is given twice."""
    for text, count in Counter(texts).items():
        if count > 1:
            msg = f"--defence {text} is given twice"
            raise InputError(msg)
    return texts


def _norm(options: Namespace) -> str:
    return str(getattr(options, "norm", "inf"))
