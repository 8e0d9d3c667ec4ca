"""What the committed records say of defences, data sets and budgets: an entry each.

`READERS` reads every file below studies/results that measured robustness; `NO_ENTRY` names the
others, and why. A new file has to be in one of the two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from art_disc.core.provenance import UNKNOWN
from art_disc.core.records import Share, load_record
from art_disc.core.records.certified import CertifiedFigureRecord
from art_disc.core.records.protocols import ProtocolTableRecord
from art_disc.core.records.published import CertificateTableRecord, TableRecord
from art_disc.core.records.purifiers import PurifierRow, PurifierTableRecord
from art_disc.reproduction.recipes import experiment
from studies.common import RESULTS
from studies.decided import PRINTED, PRINTED_AT
from studies.randomised_page import PUBLISHED

TWO_CODES = "density, 2 codes"
MADRY = "Madry's MNIST network"
# of the knowledge of a purifier's attacker; what knows less says nothing of who knows all
# those of one data set stand together
DATASETS = ("mnist", "fashion_mnist", "cifar10", "gtsrb")
# methods that attack and search
SEARCHING = ("complete", "solver")
PURIFIED = ("end to end, worst",)


@dataclass(frozen=True)
class Entry:
    """What is left of one defence on one data set within one l_inf budget.

    Attributes:
        dataset: Its name.
        eps: In [0, 1].
        defence: In words; `none`.
        training: Of the network, in short.
        network: Architecture and training, in words.
        clean: Images that are right without any change.
        unbroken: Images that no attack and no search broke; None: nothing looked for such.
        certified: Images that are proved to hold.
        limit: 99 % lower limit of the certified accuracy, in [0, 1].
        certificate: The method; empty: nothing was certified.
        attacks: In words; empty: only the certificate's method looked.
        verdict: Of the checks; empty: they were not run.
        gradients, queries: Passes through the network an image.
        seconds: An image, all processes together.
        reported: Published accuracy under the paper's attack, in percent.
        reported_certified: Published certified accuracy, in percent.
        file: Below studies/results.
        commit: At which the record was made, `unknown` where that was not noted.
        created: The day.
    """

    dataset: str
    eps: float
    defence: str
    training: str
    network: str
    clean: Share | None = None
    unbroken: Share | None = None
    certified: Share | None = None
    limit: float | None = None
    certificate: str = ""
    attacks: str = ""
    verdict: str = ""
    gradients: float | None = None
    queries: float | None = None
    seconds: float | None = None
    reported: float | None = None
    reported_certified: float | None = None
    file: str = ""
    commit: str = UNKNOWN
    created: str = ""


def trained(setting: str) -> str:
    """Return a setting's training in words.

    >>> trained("disc_adv_re"), trained("nat_pre")
    ('adversarial, retrained behind it', 'natural')
    """
    base = "adversarial" if "adv" in setting else "natural"
    return f"{base}, retrained behind it" if setting.endswith("_re") else base


def share(found: dict[str, Any]) -> Share:
    """Return the share that a study wrote down."""
    return Share(found.get("count", found.get("right")), found.get("total", found.get("of")))


def verdicts(row: dict[str, Any], total: int, method: str) -> dict[str, Any]:
    """Return what an entry says of a row of verdicts."""
    wrong = row.get("wrong_when_clean")
    return {
        "clean": None if wrong is None else Share(total - wrong, total),
        # enumeration and bounds attack nothing: what they leave open nobody tried to break
        "unbroken": Share(total - row["falsified"], total) if method in SEARCHING else None,
        "certified": Share(row["certified"], total),
        "certificate": method,
        "limit": row["lower_limit_99"],
        "seconds": row["seconds"] / total,
    }


def spent(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what attacks cost an image, and their names."""
    names = dict.fromkeys(row["attack"] for row in rows)
    return {
        "attacks": ", ".join(names),
        "gradients": sum(row["gradients_per_image"] for row in rows),
        "queries": sum(row["queries_per_image"] for row in rows),
        "seconds": sum(row["seconds"] / row["total"] for row in rows),
    }


def together(rows: list[dict[str, Any]]) -> Share:
    """Return what attacks leave together: of what one leaves, less what only others broke."""
    return Share(rows[0]["count"] - rows[0]["missed"], rows[0]["total"])


def _settings(training: dict[str, Any] | str) -> str:
    """Say the settings of a training, which later records tell in words."""
    if isinstance(training, str):
        return training
    return ", ".join(f"{name} {value}" for name, value in training.items())


def decided(found: Any) -> Iterator[Entry]:
    setting = found["setting"]
    for row in found["rows"]:
        said = verdicts(row, found["images"], "complete")
        yield Entry(
            "mnist", row["eps"], TWO_CODES, trained(setting), f"{MADRY}: {found['training']}",
            **said | {"seconds": said["seconds"] * found["jobs"]},
            reported=PRINTED[setting] if row["eps"] == PRINTED_AT else None,
        )  # fmt: skip


def decided_attacks(found: Any) -> Iterator[Entry]:
    for budget in found["budgets"]:
        yield Entry(
            "mnist", budget["eps"], TWO_CODES, trained(found["setting"]),
            f"{MADRY}: {found['training']}",
            unbroken=together(budget["attacks"]),
            **spent(budget["attacks"]),
        )  # fmt: skip


def two_codes(found: Any) -> Iterator[Entry]:
    rows = [row for row in found["attacks"] if row["scored_on"] == "defended"]
    yield Entry(
        "mnist", found["eps"], TWO_CODES, "natural", f"{MADRY}: {found['network']['training']}",
        clean=share(found["clean_10000"]["defended"]),
        unbroken=share(found["worst_1000_with_square_on_300"]),
        reported=found["published"]["bpda"],
        **spent(rows),
    )  # fmt: skip


def checked(found: Any) -> Iterator[Entry]:
    network = f"{MADRY}: {found['network']['training']}"
    cost, total = found["cost"], found["worst"]["total"]
    yield Entry(
        "mnist", found["eps"], TWO_CODES, "natural", network,
        clean=share(found["clean"]["defended"]),
        unbroken=share(found["worst"]),
        certified=Share(found["certificate"]["certified"], total),
        certificate="enumeration",
        verdict=found["verdict"],
        attacks=f"standard, {cost['attacks']} attacks, checks among them",
        gradients=cost["gradients_per_image"],
        queries=cost["queries_per_image"],
        seconds=cost["seconds"] / total,
        reported=found["published"]["bpda"],
    )  # fmt: skip
    bare = [
        row for row in found["attacks"] if (row["scored_on"], row["status"]) == ("base", "done")
    ]
    yield Entry(
        "mnist", found["eps"], "none", "natural", network,
        clean=share(found["clean"]["base"]),
        unbroken=share(found["worst_base"]),
        **spent(bare),
    )  # fmt: skip


def enumerated(found: Any) -> Iterator[Entry]:
    network = f"{MADRY}: {found['network']['training']}"
    for row in found["rows"]:
        total = row["certified"] + row["falsified"] + row["undecided"]
        said = verdicts(row, total, "enumeration")
        yield Entry("mnist", row["eps"], TWO_CODES, "natural", network, **said)


def code_space(found: Any) -> Iterator[Entry]:
    book = found.results.get("codebook")
    network, rows = found["network"], found["attacks"]
    training = network["training"]
    if not isinstance(training, str):
        training = f"natural, {_settings(training)}"
    for eps in dict.fromkeys(row.get("eps", found.results.get("eps")) for row in rows):
        mine = [row for row in rows if row.get("eps", eps) == eps]
        yield Entry(
            found["dataset"]["name"], eps,
            f"density, {book['n_codes']} codes" if book else TWO_CODES,
            "natural", f"{network['name']}: {training}",
            clean=share(found["clean"]) if "clean" in found.results else None,
            unbroken=together(mine),
            **spent(mine),
        )  # fmt: skip


def randomised(found: Any) -> Iterator[Entry]:
    cifar10 = found.name.endswith("cifar10")
    dataset = "cifar10" if cifar10 else "mnist"
    network = experiment(dataset).network_words
    words = found["settings"]["defences"]
    for row in found["rows"]:
        named = row["defence"]
        # it was rounded
        eps = round(255 * row["eps"]) / 255 if cifar10 else row["eps"]
        yield Entry(
            dataset, eps,
            "none" if named == "none" else f"{named} (`{words[named]}`)",
            "natural", f"{network}: natural",
            clean=share(row["clean"]),
            unbroken=share(row["worst"]),
            attacks="; ".join(attack["attack"] for attack in row["attacks"]),
            reported=None if cifar10 else PUBLISHED.get((words[named], eps)),
        )  # fmt: skip


def divergence(found: Any) -> Iterator[Entry]:
    how = found["settings"]
    attack = "PGD-40, mean of 20 gradients"
    for row in found["rows"]:
        pool, sigma, training = row["defence"].split("_")
        total = row["total"]
        yield Entry(
            "mnist", row["eps"],
            f"RandDisc, fixed codes 0 and 1, {pool}, {sigma.replace('sigma', 'sigma ')}",
            {"natural": "natural", "noisy": "natural, retrained behind it"}[training],
            f"{MADRY}: {how['natural']}",
            clean=Share(row["clean"], total),
            unbroken=share(row[attack]),
            certified=Share(row["certified"]["tight"], total),
            limit=row["limit99"]["tight"],
            certificate=f"divergence, {how['draws']:,} votes, confidence {how['confidence']}",
            attacks=attack,
        )  # fmt: skip


def certified_figure(record: Any) -> Iterator[Entry]:
    for row in record.rows:
        yield Entry(
            row.dataset, row.eps, f"RandDisc, {row.defence}", "natural", row.network,
            clean=row.clean, unbroken=row.attacked, certified=row.tight, limit=row.limit,
            certificate="divergence, votes",
            attacks="PGD, mean of gradients" if row.attacked else "", reported=row.printed,
        )  # fmt: skip


def signs(found: Any) -> Iterator[Entry]:
    rows = found["found"]["attacks"]
    yield Entry(
        "mnist", found["eps"], found["defence"], "natural, network of signs",
        f"FCN2: {_settings(found['network']['training'])}",
        clean=share(found["found"]["clean"]),
        unbroken=share(found["found"]["suite"]),
        **spent(rows),
    )  # fmt: skip


def verified(found: Any) -> Iterator[Entry]:
    kind = "dense" if "dense" in found.name else "of local connections"
    for row in found["rows"]:
        said = verdicts(row, found["images"], "solver")
        yield Entry(
            "mnist", row["eps"], "codes 0 and 1", "against flips of codes, network of signs",
            f"{found['network'].partition('(')[0]}, {kind}: {found['training']}",
            attacks=", ".join(found["attacks"]["names"]),
            **said,
        )  # fmt: skip


def trained_for_certificates(found: Any) -> Iterator[Entry]:
    network, left = found["network"], found["attacks"]
    said = verdicts(found["certificates"]["complete"], found["dataset"]["test"], "complete")
    broken = max((one["undecided_and_broken"] for one in left), default=0)
    said["unbroken"] = Share(said["unbroken"].count - broken, said["unbroken"].total)
    levels = found["codewords_255"]
    grey = ", ".join(f"{level[0]:g}" for level in levels)
    yield Entry(
        found["dataset"]["name"], found["eps"],
        f"codes {grey} of 255" if len(levels[0]) == 1 else f"{len(levels)} colours",
        f"by bounds, at {found['train_eps']:.4g}, seed {found['seed']}",
        f"CertifiedNet {network['size']}: {found['objective']}, "
        f"{found['settings']['epochs']} epochs, weights {network['weights']}",
        attacks="; ".join(f"{one['suite']}, on the first {one['images']:,}" for one in left),
        **said | {"seconds": said["seconds"] * found["jobs"]},
    )  # fmt: skip


def latent_bits(found: Any) -> Iterator[Entry]:
    wrong = {"wrong_when_clean": found["images"] - found["clean"]}
    for row in found["rows"]:
        said = verdicts(row | wrong, found["images"], "complete")
        more = f"; with {', '.join(found['attacks'])} on {row['attacked']} that are certified"
        yield Entry(
            found["dataset"]["name"], row["eps"], "LQ-VAE, preset certified",
            "natural, classifier A", f"{found['classifier']}; {found['purifier']}",
            attacks=f"LatentCodeAttack, on what is not certified{more if row['attacked'] else ''}",
            **said | {"seconds": said["seconds"] * found["jobs"]},
        )  # fmt: skip


def published(record: TableRecord) -> Iterator[Entry]:
    for row in record.rows:
        yield Entry(
            row.dataset, row.eps, row.defence or "none", trained(row.setting), row.network,
            clean=row.clean,
            unbroken=row.worst,
            attacks=row.worst_of,
            gradients=row.gradients,
            queries=row.queries,
            seconds=row.seconds / len(row.alive),
            reported=row.printed_robust,
        )  # fmt: skip


def certificates(record: CertificateTableRecord) -> Iterator[Entry]:
    for row in record.rows:
        if row.eps:
            said = {name: getattr(row, name) for name in ("certified", "falsified", "seconds")}
            said |= {"wrong_when_clean": row.wrong_when_clean, "lower_limit_99": row.limit}
            yield Entry(
                "mnist", row.eps, TWO_CODES, "adversarial", record.network,
                reported_certified=row.printed_success,
                **verdicts(said, row.total, row.method),
            )  # fmt: skip


def protocols(record: ProtocolTableRecord) -> Iterator[Entry]:
    for row in record.rows:
        raw = row.under("raw")
        if raw is not None:
            signs = "" if row.precision == "real" else ", network of signs"
            yield Entry(
                row.dataset, row.eps, "none" if row.bits == 8 else f"bitdepth:bits={row.bits}",
                f"{row.base}{signs}", row.network,
                clean=row.clean,
                unbroken=raw.worst,
                attacks=raw.worst_of,
                gradients=raw.gradients,
                queries=raw.queries,
                reported=row.printed_robust,
            )  # fmt: skip


def _step(row: PurifierRow, defence: str) -> float | None:
    """Return what is printed of the paper's own attack, a single step."""
    cell = row.cell(defence, "end to end, one step")
    return cell.printed if cell else None


def purifiers(record: PurifierTableRecord) -> Iterator[Entry]:
    for row in record.rows:
        for cell in row.cells:
            if row.eps and cell.left and cell.knowledge in PURIFIED:
                yield Entry(
                    row.dataset, row.eps, cell.defence, f"classifier {row.model}",
                    "; ".join(row.networks),
                    clean=cell.clean,
                    unbroken=cell.left,
                    attacks=cell.attacks,
                    reported=_step(row, cell.defence),
                )  # fmt: skip


Reader = Callable[[Any], Iterator[Entry]]

READERS: dict[str, Reader] = {
    "binarised_attacks_bare": signs,
    "binarised_attacks_two_bits": signs,
    "certified_training/": trained_for_certificates,
    "code_space": code_space,
    "code_space_cifar10": code_space,
    "decided/": decided,
    "decided_attacks/": decided_attacks,
    "lqvae_certificate": latent_bits,
    "mnist_certificate": enumerated,
    "mnist_checks": checked,
    "mnist_randomised_certificate": divergence,
    "mnist_two_codes": two_codes,
    "randomised_attack_cifar10": randomised,
    "randomised_attack_mnist": randomised,
    "verified_binarised/": verified,
}
# published tables, by kind of record
OF_TABLES: dict[type, Reader] = {
    CertifiedFigureRecord: certified_figure,
    TableRecord: published,
    CertificateTableRecord: certificates,
    ProtocolTableRecord: protocols,
    PurifierTableRecord: purifiers,
}
NO_ENTRY = {
    "binarised_cost": "times and sizes",
    "binarised_pair": "accuracies without an attack",
    "binarised_search": "images that can be broken, and no others",
    "certify_speed": "times",
    "check_calibration": "defences that are broken on purpose",
    "check_calibration_luck": "gradients that are broken on purpose",
    "certified_training_tries/": "images that are held out, which settings are chosen by",
    "colour_codebook": "times",
    "eot_cost": "times",
    "hardness": "code boxes, no network",
    "idealized": "a model of images, no network",
    "kmedoids_colour": "times",
    "lqvae_speed": "times",
    "lqvae_theorem": "probabilities by a formula, no network",
    "lqvae_training_fashion_mnist": "accuracies without an attack",
    "lqvae_training_mnist": "accuracies without an attack",
    "margin_codebook": "code boxes, no network",
    "mnist_free_pixels": "code boxes, no network",
    "overhead": "times",
    "soundness": "networks drawn at random",
    "sweep_at_scale": "times, and cells that workers lose",
    "tables/chen2019-figure5": "code boxes, no network",
    "tables/chen2019-figure6": "colours, no network",
    "tables/chen2019-figure7": "pixels, no network",
    "tables/kyatham2020-figure3": "bits that two attacks flip, not their worst case",
    "thermometer_speed": "times",
    "versions": "which tests pass",
    "zoo_digits": "says what runs, on 16 images",
    "zoo_digits_binarised": "says what runs, on 16 images",
    "zoo_digits_purifier": "says what runs, on 16 images",
}


def name_of(path: Path) -> str:
    """Return what a result file is called here."""
    return path.relative_to(RESULTS).with_suffix("").as_posix()


def entries() -> list[Entry]:
    """Return what all records say, by data set and budget, most certified first."""
    found = []
    for path in sorted(RESULTS.rglob("*.json")):
        name = name_of(path)
        folder = f"{name.partition('/')[0]}/"
        if NO_ENTRY.keys() & {name, folder}:
            continue
        record = load_record(path)
        reader = READERS.get(name) or READERS.get(folder) or OF_TABLES.get(type(record))
        if reader is None:
            msg = f"{name}.json: name it in READERS of studies/entries.py, or in NO_ENTRY"
            raise ValueError(msg)
        made = record.environment
        about = {"file": f"{name}.json", "commit": made.commit, "created": made.created[:10]}
        found += [replace(entry, **about) for entry in reader(record)]
    return sorted(found, key=_place)


def _place(entry: Entry) -> tuple[Any, ...]:
    left = [found.value if found else -1.0 for found in (entry.certified, entry.unbroken)]
    known = (*DATASETS, entry.dataset).index(entry.dataset)
    return (known, entry.dataset, entry.eps, *(-one for one in left), entry.defence, entry.file)
