"""The papers' tables of certificates run again."""

from pathlib import Path

import numpy as np
import torch

from art_disc.codebooks import Codebook, DensityCodebook
from art_disc.core.checks import Float32Array
from art_disc.core.errors import InputError
from art_disc.core.records.base import Environment
from art_disc.core.records.certificate import CertificateRecord
from art_disc.core.records.published import CertificateTableRecord, CertificateTableRow
from art_disc.defences import PixelDiscretization
from art_disc.metrics import certify, free_pixels
from art_disc.reproduction.published import PublishedCertificate, published_certificates
from art_disc.reproduction.recipes import Stage
from art_disc.surrogates import SoftAssignment

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
    # first: the code may change while it runs
    environment = Environment.here(threads=torch.get_num_threads())
    stage = Stage.of("mnist", data_dir, train_steps)
    codebook = DensityCodebook(2, radius=0.6)
    defence = PixelDiscretization(codebook, SoftAssignment(stage.experiment.alpha))
    setting = stage.trained("disc_adv_pre", [defence], seed=seed, verbose=verbose)
    ours = stage.data.part(n_ex)
    x = stage.data.x_test[: 1000 if paper == "chen2018" else None]
    rows = []
    for row in published_certificates(paper, number):
        most = min(max_free, row.bits)
        found = certify(
            setting.classifier,
            ours.x_test,
            ours.y_test,
            eps=row.eps,
            max_free=most,
            verbose=verbose,
        )
        rows.append(_row(row, x, codebook, found.record, max_bits=most))
    record = CertificateTableRecord(
        table=name,
        title=CERTIFICATES[name],
        rows=tuple(rows),
        network=f"{stage.experiment.network_words}: {setting.training}",
        settings={
            "n_ex": n_ex,
            "max_free": max_free,
            "train_steps": train_steps,
            "train_images": len(stage.data.x_train),
            "seed": seed,
        },
        environment=environment,
    )
    record.save(Path(out) / f"{name}.json")
    return record


def _row(
    row: PublishedCertificate,
    x: Float32Array,
    codebook: Codebook,
    found: CertificateRecord,
    *,
    max_bits: int,
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
        max_bits=max_bits,
        certified=found.count("certified"),
        falsified=found.count("falsified"),
        undecided=found.count("undecided"),
        seconds=found.seconds,
    )
