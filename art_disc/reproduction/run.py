"""A whole table: its rows one after the other, each kept as soon as it is there."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from art_disc.attacks import attack_table
from art_disc.core.checks import check_count
from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment
from art_disc.core.records.fields import Setting
from art_disc.core.records.published import TableRecord, TableRow
from art_disc.reproduction.recipes import Stage
from art_disc.reproduction.rows import ATTACKS, RowRequest, run_row
from art_disc.reproduction.tables import chosen_rows, table


def reproduce(  # noqa: PLR0913 - each is a choice of its own
    name: str,
    *,
    out: str | Path = "runs/reproduce",
    datasets: Sequence[str] = (),
    settings: Sequence[str] = (),
    n_codes: Sequence[int] = (),
    eps: Sequence[float] = (),
    n_ex: int = 200,
    train_steps: int | None = None,
    attacks: Sequence[str] = ATTACKS,
    attack_settings: Mapping[str, Any] | None = None,
    checks: str | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    announce: Callable[[str], None] | None = None,
    verbose: bool = True,
) -> TableRecord:
    """Run a published table on the data at hand and set our numbers beside the printed ones.

    Each row trains its network (or takes it from the cache), runs the papers' attack and ours, and
    is written down in `out`; what is there already is not run again.

    Args:
        name: One of `TABLES`: `chen2018-table3`, ...
        out: Folder of the table, `NAME.json`, with what was kept of it in the name, and of the
            rows' records, which tables share.
        datasets: Keep rows of these; empty: all but ImageNet's. The undefended bases of what is
            kept are always run.
        settings: Keep rows of these settings, `disc_nat_pre`, ...; empty: all.
        n_codes: Keep rows with so many codes; empty: all.
        eps: Budgets in [0, 1] in place of the published ones.
        n_ex: The first so many test images are attacked; clean accuracy is counted on all.
        train_steps: Batches in the natural training of a network, the others in proportion; None:
            the recipe's own.
        attacks: Whose per-example worst is taken; `sign_adam` and `pgd` are the papers'.
        attack_settings: `{"square.max_iter": 1000}`: over the recipe's own.
        checks: As for `evaluate`; None: none.
        seed: Of trainings, codebooks and attacks.
        data_dir: Where the data sets' files are looked for first.
        announce: Called with one line after every row.
        verbose: Show progress bars.

    Returns:
        The record, also in `out`.

    Raises:
        InputError: Unknown table, row or setting.
        DataNotFoundError: A data set is not there.
    """
    rows = chosen_rows(name, datasets=datasets, settings=settings, n_codes=n_codes)
    _check_attacks(attacks, attack_settings or {})
    request = RowRequest(
        n_ex=check_count(n_ex, "n_ex"),
        out=Path(out),
        eps=tuple(eps) or table(name).eps,
        seed=seed,
        attacks=tuple(attacks),
        settings=attack_settings,
        checks=checks,
        verbose=verbose,
    )
    asked: dict[str, Setting] = {
        "datasets": ",".join(datasets) or "all",
        "rows": ",".join(settings) or "all",
        "n_codes": ",".join(map(str, n_codes)) or "all",
        "n_ex": n_ex,
        "seed": seed,
        "train_steps": train_steps,
        "attacks": ",".join(attacks),
        "attack_settings": ",".join(f"{k}={v}" for k, v in (attack_settings or {}).items()),
        "eps": ",".join(f"{value:g}" for value in eps) or "as printed",
        "checks": checks,
    }
    planned = len(rows) * max(1, len(request.eps))
    stages: dict[str, Stage] = {}
    done: list[TableRow] = []
    record = _record(name, done, planned, asked)
    for row in rows:
        if row.dataset not in stages:
            stages[row.dataset] = Stage.of(row.dataset, data_dir, train_steps)
        done += run_row(row, stages[row.dataset], request)
        record = _record(name, done, planned, asked)
        record.save(Path(out) / f"{file_name(name, datasets, settings, n_codes)}.json")
        if announce is not None:
            announce(_line(record))
    return record


def file_name(
    name: str, datasets: Sequence[str], settings: Sequence[str], n_codes: Sequence[int]
) -> str:
    """Return what the file of a table is called: a part of a table is not the table.

    >>> file_name("chen2018-table4", (), ("disc_nat_pre",), (10, 300))
    'chen2018-table4-disc_nat_pre-10-300'
    """
    words = "-".join([name, *datasets, *settings, *map(str, n_codes)])
    # a classifier and its substitute, A/B, or a defence with its options
    return re.sub(r"[^\w.=-]+", "-", words)


def _check_attacks(attacks: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Refuse what would fail after the first training."""
    attack_table(list(attacks), settings)
    if missing := {"sign_adam", "pgd"} - set(attacks):
        msg = (
            "the papers' attacks, sign_adam and pgd, must be among the attacks; "
            f"{', '.join(sorted(missing))} is left out"
        )
        raise InputError(msg)


def _record(
    name: str, rows: Sequence[TableRow], planned: int, asked: dict[str, Setting]
) -> TableRecord:
    return TableRecord(
        table=name,
        title=table(name).title,
        rows=tuple(rows),
        planned=planned,
        settings=asked,
        environment=Environment.here(threads=torch.get_num_threads()),
    )


def _line(record: TableRecord) -> str:
    """Return what is announced after a row."""
    last = record.rows[-1]
    return (
        f"{len(record.rows)}/{record.planned} {last.dataset} {last.setting} {last.defence}: clean "
        f"{last.clean.value:.1%}, papers' attack {last.papers_attack.value:.1%}, worst "
        f"{last.worst.value:.1%}"
    )
