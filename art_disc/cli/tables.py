"""What `art-disc reproduce` can run: every table and figure, and what runs it."""

from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from art_disc.cli.options import given, method_words, say, settings_of

if TYPE_CHECKING:
    from art_disc.core.records import Record
    from art_disc.core.records.published import CertificateTableRecord
    from art_disc.reproduction import Published, PublishedNetwork, PublishedPurifier
    from art_disc.reproduction.purifier_tables import PurifierTable

_CERTIFY = ("method", "max_free", "nodes", "seconds", "megabytes", "jobs", "sample")
_ROWS = ("dataset", "setting", "codes", "eps", "attacks", "set", "checks")
_BINARISED = ("protocol", "network")
_PURIFIERS = ("preset",)
_OTHERS = (*_BINARISED, *_PURIFIERS)
# title, what runs it, and the options that say nothing about it
Known = dict[str, tuple[str, Callable[[Namespace], Path], tuple[str, ...]]]


def known_tables() -> Known:
    """Return everything that can be run."""
    return {**_tables(), **_figures()}


def _tables() -> Known:
    """Return what is one record of many rows, figures over eps among them."""
    from art_disc.reproduction import (
        BINARISED_TABLES,
        CERTIFICATES,
        PURIFIER_TABLES,
        RANDOMISED_TABLES,
        TABLES,
    )

    return {
        **{
            n: (_marked(t.title, t.rows()), _accuracies, (*_CERTIFY, *_OTHERS))
            for n, t in TABLES.items()
        },
        **{n: (t, _certificates, (*_ROWS, *_OTHERS)) for n, t in CERTIFICATES.items()},
        **{
            n: (_marked(t.title, t.rows()), _protocols, ("codes", "checks", *_CERTIFY, *_PURIFIERS))
            for n, t in BINARISED_TABLES.items()
        },
        **{
            n: (_marked(t.title, t.rows), _purifiers, (*_unused(t), *_CERTIFY, *_BINARISED))
            for n, t in PURIFIER_TABLES.items()
        },
        **{
            n: (t.title, _randomised, ("codes", "attacks", "checks", *_CERTIFY, *_OTHERS))
            for n, t in RANDOMISED_TABLES.items()
        },
    }


def _figures() -> Known:
    """Return the figures that are records of their own."""
    from art_disc.reproduction import (
        CERTIFIED_FIGURES,
        FIGURE3,
        FIGURE5,
        FIGURE6,
        PIXEL_FIGURES,
        figure3,
        figure5,
        figure6,
    )

    no_rows = tuple(dest for dest in _ROWS if dest != "eps")
    images = tuple(dest for dest in _ROWS if dest not in ("setting", "set"))
    lines = tuple(dest for dest in _ROWS if dest != "setting")
    no_training = (*_ROWS, *_CERTIFY, *_OTHERS, "train_steps")
    return {
        FIGURE3: (figure3.TITLE, _figure3, (*images, *_CERTIFY, *_BINARISED)),
        FIGURE5: (figure5.TITLE, _figure5, (*no_training, "seed")),
        FIGURE6: (figure6.TITLE, _figure6, (*no_rows, *_CERTIFY, "protocol", *_PURIFIERS)),
        **{
            n: (f.title, _pixels, (*no_training, "n_ex", *(() if f.draws else ("seed",))))
            for n, f in PIXEL_FIGURES.items()
        },
        **{
            n: (f.title, _certified, (*lines, *_CERTIFY, *_OTHERS))
            for n, f in CERTIFIED_FIGURES.items()
        },
    }


def _unused(table: "PurifierTable") -> tuple[str, ...]:
    """Return what says nothing of a table of purifiers: one table alone is of evaluations."""
    return ("codes",) if table.attacker == "all" else ("codes", "checks")


def _marked(title: str, rows: "Iterable[Published | PublishedNetwork | PublishedPurifier]") -> str:
    """Return a title, marked where it was never run here."""
    from art_disc.reproduction.tables import OWN_DATA

    away = all(row.dataset in OWN_DATA for row in rows)
    return f"{title}{'; not run here: on images of your own' * away}"


def _asked(options: Namespace, *, checks: bool = False) -> dict[str, Any]:
    """Return what every table of accuracies is asked for, with checks where it has some."""
    own = {"checks": None if options.checks == "none" else options.checks} if checks else {}
    return {
        "out": options.out,
        "datasets": options.dataset,
        "eps": options.eps,
        "attack_settings": settings_of(options),
        "announce": lambda text: say(options, text),
        "verbose": not options.quiet,
        **own,
        **given(options, "n_ex", "train_steps", "attacks", "seed", "data_dir"),
    }


def _accuracies(options: Namespace) -> Path:
    """Run a table of accuracies; return its JSON."""
    from art_disc.report import check_extra
    from art_disc.reproduction import TABLES, reproduce

    # several budgets are drawn
    if len(options.eps or TABLES[options.table].eps) > 1:
        check_extra()
    record = reproduce(
        options.table,
        settings=options.setting,
        n_codes=options.codes,
        **_asked(options, checks=True),
    )
    return _written(record, options, certificates=_beside(options))


def _beside(options: Namespace) -> "CertificateTableRecord | None":
    """Return the certificates that a figure shows too, or say how to get them; None: none."""
    from art_disc.core.records.published import CertificateTableRecord
    from art_disc.reproduction import TABLES

    name = TABLES[options.table].certificates
    file = Path(options.out) / f"{name}.json"
    if name and file.is_file():
        return CertificateTableRecord.load(file)
    if name:
        say(options, f"no certificates in the figure: art-disc reproduce {name} writes {file}")
    return None


def _protocols(options: Namespace) -> Path:
    """Run a table of binarised networks and input bits; return its JSON."""
    from art_disc.report import check_extra
    from art_disc.reproduction import reproduce_binarised

    # budgets are drawn
    check_extra()
    words = _asked(options) | given(options, "network")
    if options.protocol:
        words["protocols"] = options.protocol
    record = reproduce_binarised(options.table, models=options.setting, **words)
    return _written(record, options)


def _purifiers(options: Namespace) -> Path:
    """Run a table of purifiers; return its JSON."""
    from art_disc.reproduction import PURIFIER_TABLES, reproduce_purifiers

    words = _asked(options, checks=True) | given(options, "preset")
    record = reproduce_purifiers(options.table, models=options.setting, **words)
    # in table 7 they are no rows
    rows = () if PURIFIER_TABLES[options.table].attacker == "all" else options.attacks or ()
    return _written(record, options, *rows)


def _randomised(options: Namespace) -> Path:
    """Run a table of randomised defences; return its JSON."""
    from art_disc.report import check_extra
    from art_disc.reproduction import reproduce_randomised

    # budgets are drawn
    check_extra()
    record = reproduce_randomised(options.table, defences=options.setting, **_asked(options))
    return _written(record, options)


def _written(
    record: "Record",
    options: Namespace,
    *rows: str,
    certificates: "CertificateTableRecord | None" = None,
) -> Path:
    """Print a table, write its figures and its Markdown; return its JSON.

    `rows` are words of what was kept of it, beside those of data sets, settings and codes;
    `certificates` are drawn into its figures.
    """
    from art_disc.core.files import replace_file
    from art_disc.report import as_markdown, as_text, eps_figures
    from art_disc.reproduction.run import file_name

    print(as_text(record))
    out = Path(options.out)
    name = file_name(options.table, options.dataset, (*options.setting, *rows), options.codes)
    for dataset, picture in eps_figures(record, certificates).items():
        print(f"figure: {replace_file(out / f'{name}-{dataset}.svg', picture)}")
    print(f"table: {replace_file(out / f'{name}.md', as_markdown(record).encode())}")
    return out / f"{name}.json"


def _certificates(options: Namespace) -> Path:
    """Run a table of certificates; return its JSON."""
    from art_disc.report import as_text
    from art_disc.reproduction import reproduce_certificates

    settings = given(options, "out", "n_ex", "sample", "train_steps", "seed", "data_dir")
    settings |= method_words(options)
    record = reproduce_certificates(options.table, verbose=not options.quiet, **settings)
    print(as_text(record))
    return Path(options.out) / f"{record.table}.json"


def _figure3(options: Namespace) -> Path:
    """Count the flipped bits of the figure; return its JSON."""
    from art_disc.report import as_text
    from art_disc.reproduction import FIGURE3, reproduce_figure3

    words = given(options, "out", "n_ex", "train_steps", "seed", "data_dir", "preset")
    if options.setting:
        words["models"] = options.setting
    record = reproduce_figure3(
        attack_settings=settings_of(options), verbose=not options.quiet, **words
    )
    print(as_text(record))
    return Path(options.out) / f"{FIGURE3}.json"


def _figure5(options: Namespace) -> Path:
    """Count the classes of the figure; return its JSON."""
    from art_disc.report import as_text
    from art_disc.reproduction import FIGURE5, reproduce_figure5

    print(as_text(reproduce_figure5(**given(options, "out", "n_ex", "data_dir"))))
    return Path(options.out) / f"{FIGURE5}.json"


def _figure6(options: Namespace) -> Path:
    """Measure the activations of the figure; return its JSON."""
    from art_disc.report import as_text
    from art_disc.reproduction import FIGURE6, reproduce_figure6

    words = given(options, "out", "n_ex", "train_steps", "seed", "data_dir", "network")
    if options.eps:
        words["eps"] = options.eps
    print(as_text(reproduce_figure6(verbose=not options.quiet, **words)))
    return Path(options.out) / f"{FIGURE6}.json"


def _pixels(options: Namespace) -> Path:
    """Count the pixels of the figure; return its JSON."""
    from art_disc.reproduction import reproduce_pixels

    words = given(options, "out", "seed", "data_dir")
    return _written(reproduce_pixels(options.table, **words), options)


def _certified(options: Namespace) -> Path:
    """Certify the defences of the figure; return its JSON."""
    from art_disc.report import check_extra
    from art_disc.reproduction import reproduce_certified

    # budgets are drawn
    check_extra()
    record = reproduce_certified(
        options.table,
        lines=options.setting,
        announce=lambda text: say(options, text),
        verbose=not options.quiet,
        **given(options, "out", "n_ex", "train_steps", "seed", "data_dir"),
    )
    return _written(record, options)
