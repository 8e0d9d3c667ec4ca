"""The papers' tables of certificates run again."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from art_disc.certificates.methods import METHODS
from art_disc.certificates.problem import Options
from art_disc.certificates.spend import check_spend
from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.checks import Float32Array, check_choice, check_count
from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment
from art_disc.core.records.certificate import CertificateRecord
from art_disc.core.records.published import CertificateTableRecord, CertificateTableRow
from art_disc.core.seeds import derive_seed
from art_disc.data.dataset import Dataset, Labels
from art_disc.defences import PixelDiscretization
from art_disc.metrics import Spend, certificate_curve, free_pixels
from art_disc.reproduction.published import PublishedCertificate, published_certificates
from art_disc.reproduction.recipes import Stage
from art_disc.surrogates import SoftAssignment

CERTIFICATES = {
    "chen2018-table2": "MNIST, 2 codes, disc_adv_pre: certificates",
    "chen2019-table4": "MNIST, 2 codes, disc_adv_pre: certificates",
}
SAMPLES = ("first", "random")


def reproduce_certificates(  # noqa: PLR0913 - each is a choice of its own
    name: str,
    *,
    out: str | Path = "runs/reproduce",
    n_ex: int = 200,
    sample: str = "first",
    method: str = "enumeration",
    max_free: int = 12,
    spend: Spend | None = None,
    n_jobs: int = 1,
    train_steps: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    verbose: bool = True,
) -> CertificateTableRecord:
    """Count the images that the papers gave up, and certify what can be decided here.

    Free pixels are counted on every test image there is, as theirs are on 10,000 (chen2019) or the
    first 1,000 (chen2018); `n_ex` of them are certified. What holds at several budgets is decided
    once (`metrics.certificate_curve`), and findings are kept in a folder of `out`: the same words
    go on after a stop.

    Args:
        name: One of `CERTIFICATES`.
        out: Folder of `NAME.json`.
        n_ex: Test images to certify.
        sample: `first`: the first `n_ex`; `random`: drawn from all by `seed`, as the lower limit
            assumes.
        method: As for `metrics.certify`: `enumeration`, `bounds`, `complete` or `solver`.
        max_free: As for `metrics.certify`, of `enumeration`, but no more than the papers' b: 25 to
            30, hours of a GPU.
        spend: As for `metrics.certify`, of `complete`.
        n_jobs: As for `metrics.certify`.
        train_steps: As for `reproduce`.
        seed: Of the training and the sample.
        data_dir: Where mnist.npz is looked for first.
        verbose: Show progress bars.

    Raises:
        InputError: Unknown table or sample, no such number of images, or as `metrics.certify`.
        DataNotFoundError: No MNIST.
    """
    if name not in CERTIFICATES:
        msg = f"no table of certificates {name!r}; there are {', '.join(CERTIFICATES)}"
        raise InputError(msg)
    paper, _, number = name.partition("-table")
    check_choice(sample, "sample", SAMPLES)
    check_choice(method, "method", METHODS)
    how: dict[str, Any] = {"max_free": max_free, "n_jobs": n_jobs, "verbose": verbose}
    # before a training
    allowed = check_spend(spend, method)
    Options(batch_size=1, spend=allowed, **how)
    how |= {"spend": spend, "method": method, "out": Path(out) / folder_of(method, n_ex, sample)}
    # first: the code may change while it runs
    environment = Environment.here(threads=torch.get_num_threads())
    stage = Stage.of("mnist", data_dir, train_steps)
    chosen = sampled(stage.data, n_ex, sample, seed)
    codebook = DensityCodebook(2, radius=0.6)
    defence = PixelDiscretization(codebook, SoftAssignment(stage.experiment.alpha))
    setting = stage.trained("disc_adv_pre", [defence], seed=seed, verbose=verbose)
    printed = published_certificates(paper, number)
    found = _certified(setting.classifier, (chosen.x_test, chosen.y_test), printed, how)
    counted = stage.data.x_test[: 1000 if paper == "chen2018" else None]
    record = CertificateTableRecord(
        table=name,
        title=CERTIFICATES[name],
        rows=tuple(_row(row, counted, codebook, found[row.eps]) for row in printed),
        network=f"{stage.experiment.network_words}: {setting.training}",
        settings={
            "n_ex": n_ex,
            "sample": sample,
            "method": method,
            "max_free": max_free,
            **{f"spend_{name}": value for name, value in asdict(allowed).items()},
            "train_steps": train_steps,
            "train_images": len(stage.data.x_train),
            "seed": seed,
        },
        environment=environment,
    )
    record.save(Path(out) / f"{name}.json")
    return record


def folder_of(method: str, n_ex: int, sample: str) -> str:
    """Return where findings are kept: two tables print one network at one set of budgets."""
    return f"certificates-{method}-{n_ex}-{sample}"


def sampled(data: Dataset, n_ex: int, sample: str, seed: int) -> Dataset:
    """Return the data set with `n_ex` of its test images, the first or drawn by the seed.

    Raises:
        InputError: No such number of images.
    """
    if sample == "first":
        return data.part(n_ex)
    count = check_count(n_ex, "n_ex", most=len(data.x_test))
    rng = np.random.default_rng(derive_seed(seed, "sample"))
    chosen = np.sort(rng.choice(len(data.x_test), count, replace=False))
    return replace(
        data,
        x_test=data.x_test[chosen],
        y_test=data.y_test[chosen],
        test_ids=data.test_ids[chosen],
    )


def _certified(
    classifier: Any,
    images: tuple[Float32Array, Labels],
    printed: Sequence[PublishedCertificate],
    how: dict[str, Any],
) -> dict[float, CertificateRecord]:
    """Return a certificate for each printed budget; enumeration stops where the papers' did."""
    most, counts = how["max_free"], how["method"] == "enumeration"
    budgets: dict[int, list[float]] = {}
    for row in printed:
        budgets.setdefault(min(most, row.bits) if counts else most, []).append(row.eps)
    found: dict[float, CertificateRecord] = {}
    for bits, eps in budgets.items():
        options = {**how, "eps": eps, "max_free": bits}
        curve = certificate_curve(classifier, *images, **options).record
        found |= {one.eps: one for one in curve.certificates}
    return found


def _row(
    row: PublishedCertificate, x: Float32Array, codebook: Codebook, found: CertificateRecord
) -> CertificateTableRow:
    # their pixels are float32 products with 1/255, compared in float64
    theirs = np.rint(255 * x).astype(np.float32) * np.float32(1 / 255)
    floats = free_pixels(theirs, codebook, eps=row.eps, rule="paper_float")
    exact = free_pixels(x, codebook, eps=row.eps)
    return CertificateTableRow(
        eps=row.eps,
        bits=row.bits,
        printed_unable=row.unable,
        printed_success=row.success,
        printed_fail=row.fail,
        printed_limit=row.lower_limit,
        images=len(x),
        unable_float=int((floats > row.bits).sum()),
        unable_exact=int((exact > row.bits).sum()),
        max_bits=int(found.settings["max_free"] or 0),
        certified=found.count("certified"),
        falsified=found.count("falsified"),
        undecided=found.count("undecided"),
        seconds=found.seconds,
        method=found.method,
        unable=found.unable(row.bits),
        wrong_when_clean=found.correct.count(False),
    )
