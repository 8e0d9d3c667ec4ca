"""What each command does: call the library, print, write."""

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from art_disc.core.errors import InputError


def say(options: Namespace, text: str) -> None:
    """Print a line on the way, unless `--quiet`."""
    if not options.quiet:
        print(text, file=sys.stderr)


def settings_of(options: Namespace) -> dict[str, str]:
    """Return what `--set ATTACK.KEY=VALUE` says.

    Raises:
        InputError: Not such words.
    """
    settings = {}
    for item in options.set:
        key, equals, value = item.partition("=")
        if not equals:
            msg = f"--set takes ATTACK.KEY=VALUE, got {item!r}"
            raise InputError(msg)
        settings[key] = value
    return settings


def evaluate(options: Namespace) -> int:
    """Attack, score, report; on Ctrl-C report what was finished and return 130."""
    from art_disc.cli.setup import budgets, load_data, make_classifier, make_reference
    from art_disc.evaluation import EvaluationInterrupted
    from art_disc.evaluation import evaluate as run

    data = load_data(options)
    classifier, line = make_classifier(options, data)
    out = Path(options.out or f"runs/{data.name}")
    try:
        result = run(
            classifier,
            data,
            eps=budgets(options, data),
            attacks=options.attacks,
            norm=options.norm,
            targeted=options.targeted,
            surrogates=options.surrogates.split(","),
            settings=settings_of(options),
            checks=None if options.checks == "none" else options.checks,
            reference=make_reference(options, data, classifier),
            draws=options.draws,
            certify=options.certify,
            max_free=options.max_free,
            batch_size=options.batch_size,
            seed=options.seed,
            out=out,
            resume=options.resume,
            export=options.export,
            training=line,
            announce=lambda text: say(options, text),
            verbose=not options.quiet,
        )
        code = 0
    except EvaluationInterrupted as stop:
        result, code = stop.partial, 130
    page = result.report(out)
    print(result)
    print(f"report: {page}")
    return code


def certify(options: Namespace) -> int:
    """Certify at every budget and print one line each."""
    from art_disc.cli.setup import budgets, load_data, make_classifier
    from art_disc.metrics import certify as run

    data = load_data(options)
    classifier, _ = make_classifier(options, data)
    if hasattr(classifier, "predict_draws"):
        return _certify_draws(options, data, classifier)
    _refuse(
        options,
        ("draws", "confidence"),
        "of the certificate of a defence that draws; this one is enumerated, without any doubt",
    )
    print(f"{'eps':>10} {'certified':>10} {'falsified':>10} {'undecided':>10}  99 % lower limit")
    for eps in budgets(options, data):
        result = run(
            classifier,
            data.x_test,
            data.y_test,
            eps=eps,
            max_free=12 if options.max_free is None else options.max_free,
            rule=options.rule or "exact",
            domain=options.domain or "real",
            verbose=not options.quiet,
        )
        record = result.record
        counts = "".join(f"{record.count(v):11d}" for v in ("certified", "falsified", "undecided"))
        print(f"{eps:10.4g}{counts}  {record.lower_limit():.2%} of {len(record.verdicts)}")
        if options.out:
            result.report(Path(options.out) / f"eps-{eps:.10g}")
    if options.out:
        print(f"reports: {options.out}")
    return 0


def _refuse(options: Namespace, names: tuple[str, ...], why: str) -> None:
    """Refuse options that this certificate would not heed."""
    for name in names:
        if getattr(options, name) is not None:
            msg = f"--{name.replace('_', '-')} is {why}; leave it out"
            raise InputError(msg)


def _certify_draws(options: Namespace, data: Any, classifier: Any) -> int:
    """Certify a classifier that draws, by all bounds, and print one line for each budget."""
    from art_disc.cli.setup import budgets
    from art_disc.metrics import certified_accuracy_curve
    from art_disc.report import write_report

    _refuse(
        options,
        ("max_free", "rule", "domain"),
        "of the certificate by enumeration; a defence that draws is certified by its votes",
    )
    record = certified_accuracy_curve(
        classifier,
        data.x_test,
        data.y_test,
        eps=budgets(options, data),
        draws=1000 if options.draws is None else options.draws,
        confidence=0.999 if options.confidence is None else options.confidence,
        seed=options.seed,
        verbose=not options.quiet,
    )
    print(f"{record.clean} of {record.total} right by {record.draws} votes")
    heads = "".join(f"{bound:>11}" for bound in record.bounds)
    print(f"{'eps':>10}{heads}  99 % lower limit of {record.bounds[0]}")
    for eps in sorted({point.eps for point in record.points}):
        line = [point for point in record.points if point.eps == eps]
        counts = "".join(f"{point.certified:11d}" for point in line)
        print(f"{eps:10.4g}{counts}  {line[0].limit:.2%}")
    for words in record.vacuous:
        print(words)
    if options.out:
        print(f"report: {write_report(record, options.out)}")
    return 0


def codebook(options: Namespace) -> int:
    """Learn a codebook, print it and how the pixels fall on it, save it."""
    import numpy as np

    from art_disc.cli.setup import default_defence, load_data
    from art_disc.codebooks import PixelCounts
    from art_disc.defences import CodebookPreprocessor, parse_defences

    data = load_data(options)
    counts = PixelCounts.of(data.x_train if len(data.x_train) else data.x_test)
    text = options.defence or default_defence(data)
    defences = parse_defences(text)
    if len(defences) != 1 or not isinstance(defences[0], CodebookPreprocessor):
        msg = f"--defence {text} is not one codebook; see art-disc evaluate --help for those"
        raise InputError(msg)
    book = defences[0].codebook
    if not book.is_fitted:
        book.fit(counts)
    index = book.assign(counts.values.astype(np.float32) / np.float32(255))
    weights: Any = counts.counts if index.ndim == 1 else np.repeat(counts.counts, index.shape[1])
    share = np.bincount(index.ravel(), weights=weights, minlength=book.n_codes_)
    gap = 255 * book.separation()
    print(f"{type(book).__name__}  {book.n_codes_} codewords, separation {gap:.4g} levels")
    for j, (code, part) in enumerate(zip(book.levels, share / share.sum(), strict=True)):
        levels = " ".join(f"{level:7.6g}" for level in code)
        print(f"{j:4d}  {levels}   {part:7.2%} of pixels")
    if options.out:
        file = Path(options.out)
        print(f"saved: {book.save(file if file.suffix == '.npz' else f'{file}.npz')}")
    return 0


def report(options: Namespace) -> int:
    """Render a run's report again from its record."""
    from art_disc.report import render_run

    print(f"report: {render_run(options.folder)}")
    return 0
