"""The papers' tables of certificates run again."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.checks import Float32Array, check_count
from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment
from art_disc.core.records.certificate_table import CertificateTableRecord, CertificateTableRow
from art_disc.data import load_dataset
from art_disc.defences import PixelDiscretization
from art_disc.estimators import DefendedClassifier
from art_disc.metrics import certify, free_pixels
from art_disc.reproduction.published import PublishedCertificate, published_certificates
from art_disc.reproduction.recipes import experiment
from art_disc.surrogates import SoftAssignment
from art_disc.training import SixSettings

CERTIFICATES = {
    "chen2018-table2": "MNIST, 2 codes, disc_adv_pre: certificates by enumeration",
    "chen2019-table4": "MNIST, 2 codes, disc_adv_pre: certificates by enumeration",
}


def reproduce_certificates(  # noqa: PLR0913 - each is a choice of its own
    name: str,
    *,
    out: str | Path = "runs/reproduce",
    n_ex: int = 200,
    max_free: int = 12,
    train_steps: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    verbose: bool = True,
) -> CertificateTableRecord:
    """Count the images that the papers gave up, and certify what can be enumerated here.

    Free pixels are counted on every test image there is, as theirs are on 10,000 (chen2019) or the
    first 1,000 (chen2018); enumeration runs on the first `n_ex` up to 2^`max_free` code images.

    Args:
        name: One of `CERTIFICATES`.
        out: Folder of `NAME.json`.
        n_ex: Test images to certify.
        max_free: As for `metrics.certify`; theirs is 25 to 30, hours of a GPU.
        train_steps: As for `reproduce`.
        seed: Of the training.
        data_dir: Where mnist.npz is looked for first.
        verbose: Show progress bars.

    Raises:
        InputError: Unknown table.
        DataNotFoundError: No MNIST.
    """
    if name not in CERTIFICATES:
        msg = f"no table of certificates {name!r}; there are {', '.join(CERTIFICATES)}"
        raise InputError(msg)
    paper, _, number = name.partition("-table")
    data = load_dataset("mnist", data_dir=data_dir)
    how, data = experiment("mnist").shortened(data, train_steps)
    codebook = DensityCodebook(2, radius=0.6)
    six = SixSettings(
        lambda: how.network(data.input_shape, data.nb_classes),
        data,
        [PixelDiscretization(codebook, SoftAssignment(how.alpha))],
        adversary=how.adversary,
        adversarial=how.adversarial,
        seed=seed,
        verbose=verbose,
    )
    setting = six["disc_adv_pre"]
    many = 1000 if paper == "chen2018" else len(data.x_test)
    part = data.subset(n_test=check_count(n_ex, "n_ex"))
    rows = tuple(
        _row(
            row,
            data.x_test[:many],
            codebook,
            (setting.classifier, part.x_test, part.y_test),
            max_free,
            verbose=verbose,
        )
        for row in published_certificates(paper, number)
    )
    record = CertificateTableRecord(
        table=name,
        title=CERTIFICATES[name],
        rows=rows,
        network=f"{how.network_words}: {setting.told}",
        settings={
            "n_ex": n_ex,
            "max_free": max_free,
            "train_steps": train_steps,
            "train_images": len(data.x_train),
            "seed": seed,
        },
        environment=Environment.here(threads=torch.get_num_threads()),
    )
    record.save(Path(out) / f"{name}.json")
    return record


def _row(
    row: PublishedCertificate,
    x: Float32Array,
    codebook: Codebook,
    what: tuple[DefendedClassifier, Float32Array, NDArray[np.int64]],
    max_free: int,
    *,
    verbose: bool,
) -> CertificateTableRow:
    # their pixels are float32 products with 1/255, compared in float64
    theirs = np.rint(255 * x).astype(np.float32) * np.float32(1 / 255)
    floats = free_pixels(theirs, codebook, eps=row.eps, rule="paper_float")
    exact = free_pixels(x, codebook, eps=row.eps)
    found = certify(*what, eps=row.eps, max_free=min(max_free, row.bits), verbose=verbose).record
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
        max_bits=min(max_free, row.bits),
        certified=found.count("certified"),
        falsified=found.count("falsified"),
        undecided=found.count("undecided"),
        seconds=found.seconds,
    )
