"""One small record of every kind, for tests that go over all of them."""

from dataclasses import replace
from pathlib import Path

from art_disc.core.records import (
    AttackOutcome,
    CertificateRecord,
    CheckResult,
    DivergenceRecord,
    Environment,
    EvaluationRecord,
    Share,
)
from art_disc.core.records.certificate import (
    AttackedPoint,
    CertificateCurveRecord,
    CertifiedCurve,
    CurvePoint,
)
from art_disc.core.records.certified import CertifiedFigureRecord, CertifiedRow
from art_disc.core.records.draws import DrawsRecord, persistent_curve
from art_disc.core.records.hardness import (
    ClassesFacts,
    HardnessRecord,
    HardnessRow,
    NeighbourhoodFacts,
    SeparabilityFacts,
)
from art_disc.core.records.pixels import PixelFact, PixelFigureRecord
from art_disc.core.records.protocols import (
    ActivationRecord,
    ActivationRow,
    ProtocolOutcome,
    ProtocolRow,
    ProtocolTableRecord,
)
from art_disc.core.records.published import (
    CertificateTableRecord,
    CertificateTableRow,
    ClassesRecord,
    ClassesRow,
    TableRecord,
    TableRow,
)
from art_disc.core.records.purifiers import (
    BitFlipRecord,
    BitFlipRow,
    PurifierCell,
    PurifierRow,
    PurifierTableRecord,
)
from art_disc.core.records.randomness import AgreementRecord, ConvergencePoint, ConvergenceRecord
from art_disc.core.records.study import StudyRecord
from art_disc.core.records.supplied import (
    SuppliedRecord,
    SuppliedSet,
    TransferRecord,
    TransferRow,
)
from art_disc.core.records.sweep import SweepCell, SweepRecord
from art_disc.core.records.zoo import ZooCell, ZooRecord

COMMITTED = sorted((Path(__file__).parents[2] / "studies" / "results").rglob("*.json"))
HERE = Environment("2026-01-01T00:00:00+00:00", "1", "3.11", "linux", {"numpy": "2"})
LINES = ("RandDisc(n_clusters=2)",)
SETTINGS = {"max_iter": 3, "eps_step": 0.5, "name": "x", "flag": True, "none": None}

OUTCOMES = (
    AttackOutcome(
        "pgd", "defended", "bpda", "soft", "inf", 0.1, False, SETTINGS, 3,
        correct=(True, False, True), perturbation=(0.1, 0.05, 0.0),
        grid_correct=(True, True, True), draws=4, draw_correct=(4, 0, 3), by_step=(3, 2),
        loss_by_step=(0.5, 0.75), gradients=6, queries=1, seconds=0.25,
    ),
    AttackOutcome(
        "square", "base", "none", None, "2", 0.2, True, {}, 3,
        positions=(0, 2), correct=(True, False), perturbation=(0.2, 0.1),
    ),
    AttackOutcome(
        "deepfool", "defended", "bpda", None, "inf", 0.1, False, {}, 3, "failed", "no",
    ),
)  # fmt: skip
CERTIFICATE = CertificateRecord(
    "enumeration", 0.1, "a grid", {"max_images": 100}, ("certified", "falsified", "undecided"),
    ("", "", "too many"), (0, 1, 30), (0.0, 1.0, 30.0), (1, 2, 0), 1.5, HERE,
)  # fmt: skip
CORRECT = (True, False, True)
EVALUATION = EvaluationRecord(
    dataset={"name": "toy", "n_test": 3},
    example_ids=(4, 7, 8),
    labels=(0, 1, 2),
    network={"name": "net", "parameters": 10},
    defences=LINES,
    codebook={"name": "Codebook", "metric": "l_inf", "codewords": [[0.0], [1.0]]},
    histogram=((1, 2, 3), (4, 5, 6)),
    norm="inf",
    eps=(0.1, 0.2),
    clip_values=(0.0, 1.0),
    seed=3,
    base_correct=(True, True, False),
    defended_correct=(True, True, True),
    outcomes=OUTCOMES,
    environment=HERE,
    certificates=(CERTIFICATE,),
    checks=(
        CheckResult("C1", "clean", "quick", "pass", "fine", "none", numbers={"base": 0.5}),
        CheckResult("C3", "gradients", "standard", "fail", "zero", "look", example_ids=(4,)),
    ),
    checks_tier="standard",
)
DRAWS = DrawsRecord(3, (3, 1), (True, False), (True, False), 0, LINES, HERE)
ZERO_TO_ONE = (0.0, 0.25, 0.5, 0.75, 1.0)

RECORDS = (
    EVALUATION,
    CERTIFICATE,
    DivergenceRecord(
        "tight", 0.1, 0.99, 10, "draws", {"seed": 0}, ("certified", "undecided"), ("", "far"),
        (10, 6), (0.75, 0.25), (0.5, None), (0.5, -0.25), 1.5, HERE,
    ),
    CertificateCurveRecord(
        (
            replace(CERTIFICATE, correct=CORRECT),
            replace(CERTIFICATE, eps=0.2, correct=CORRECT, decided_at=(0.3, None, None)),
        ),
        1.5, HERE,
    ),
    CertifiedCurve(
        (CurvePoint(0.1, "tight", 1, 2, 0.25), CurvePoint(0.1, "pinsker", 0, 2, 0.0)), 2, 2, 0.99,
        10, "draws", {"seed": 0}, ("pinsker from .05",), 1.5, HERE,
        (AttackedPoint(0.1, 1, 2, 0),), "10 votes",
    ),
    DRAWS,
    persistent_curve(DRAWS),
    AgreementRecord("margin", (1, 5), ((0.1, 0.2), (0.5, 0.75)), (1, 0), 0, LINES, 1.5, HERE),
    ConvergenceRecord(
        0.1, 20, 2.5, True, 3, (True, True),
        (ConvergencePoint(5, 4, 0.0625, 20, (True, False), (3, 1), 0.5),),
        0, {"vote": "mean"}, LINES, HERE,
    ),
    TransferRecord(
        0.1, 1e-6, LINES, (True, True),
        (
            TransferRow("base", (), "pgd", {"max_iter": 3}, "failed", "ValueError: no"),
            TransferRow(
                "own", LINES, "pgd", {"max_iter": 3}, "done", "", (True, False), (False, True),
                (3, 1), (0.1, 0.05), 6, 1, 0.5, {"vote": "mean"},
            ),
        ), 3, 0, HERE, {"vote": "mean"},
    ),
    SuppliedRecord(
        0.1, 1e-6, {"none": (), "noise": LINES},
        (
            SuppliedSet(
                "one", "one.npz", (1, 4), (9,), (0.1, 0.5), (True, False), ((4, 1),),
                {"none": (True, True), "noise": (True, False)},
                {"none": (False, True), "noise": (True, False)}, {"noise": (3, 1)},
            ),
        ), 3, 0, HERE, {"data": "toy"},
    ),
    SweepRecord(
        "tiny", {"eps": [0.1], "attacks": ["pgd"], "n_ex": 3},
        (
            SweepCell("digits", "natural", "none", 0.1, "pgd", "own", 0, "done", "", EVALUATION),
            SweepCell("digits", "natural", "none", 0.1, "cw", "own", 0, "failed", "no"),
        ), 3, HERE, False,
    ),
    TableRecord(
        "t", "title",
        (
            TableRow(
                "mnist", "disc_nat_pre", "density", 2, 0.3, 99.0, None, 100, Share(90, 100),
                Share(1, 3), "110", Share(2, 3), "111", "pgd", "pgd; square", "net",
                differs=("data",),
            ),
        ), 2, {"n_ex": 3}, HERE,
    ),
    CertificateTableRecord(
        "t", "title",
        (CertificateTableRow(0.1, 20, 1.0, 90.0, 9.0, 88.5, 100, 3, 4, 12, 80, 10, 10, 1.5),),
        "net", {"n_ex": 100}, HERE,
    ),
    ProtocolTableRecord(
        "t", "title",
        (
            ProtocolRow(
                "mnist", "BNN-2b", "bnn", 2, "natural", 0.3, 96.4, None, Share(90, 100), "110",
                (
                    ProtocolOutcome("paper", 0.125, 0.0, "110", "110", "fgsm"),
                    ProtocolOutcome("raw", 0.0, 0.5, "110", "100", "fgsm; pgd", 6.0, 1.0),
                ), "net", ("data",),
            ),
            ProtocolRow(
                "cifar10", "8b", "real", 8, "adversarial", 0.0, None, None, Share(9, 10), "", (),
                "net",
            ),
        ), 3, {"n_ex": 3}, HERE,
    ),
    PurifierTableRecord(
        "t", "title",
        (
            PurifierRow(
                "mnist", "fgsm", "A/B", 0.3, 99.4,
                (
                    PurifierCell("none", "black box", 33.3, "0100", Share(9, 10), "fgsm"),
                    PurifierCell("lqvae", "black box", 88.1, "0111", Share(8, 10), "fgsm"),
                    PurifierCell("defense_gan", "black box", 89.1),
                ), ("A: net",), ("data",),
            ),
            PurifierRow("mnist", "cw_l2", "A/C", None, None, (), ()),
        ), 3, {"n_ex": 4}, HERE,
    ),
    BitFlipRecord(
        "f", "title", "mnist",
        (BitFlipRow("A", "cw_l2", "grey box", (0.5, 0.75, 1.0), Share(4, 4), Share(3, 4)),),
        ("A: net",), {"n_ex": 4}, HERE,
    ),
    ActivationRecord(
        "f", "title", "mnist",
        (
            ActivationRow("FCN2", "bnn", 0.0, (0.5, 0.75, 1.0, 1.5, 2.0), Share(2, 3), "net"),
            ActivationRow("FCN2", "bnn", 0.1, (0.5, 0.5, 1.0, 1.5, 4.0), Share(1, 3), "net"),
        ), {"n_ex": 3}, HERE,
    ),
    ZooRecord(
        {"name": "toy"}, (4, 7), (0, 1), {"name": "net"}, {"none": (), "noise": LINES}, "smoke",
        0.1, 0, 600.0,
        (
            ZooCell(
                "pgd", "ProjectedGradientDescent", "none", "lowered", norm="inf", eps=0.1,
                gradient_attack=True, settings=SETTINGS, total=2, clean=2, attacked=1,
                linf_mean=0.05, linf_max=0.1, seconds=0.5, gradients=4, seen_gradients=4,
            ),
            ZooCell("pgd", "ProjectedGradientDescent", "noise", "refused", "no"),
        ), {"Boundary": "slow"}, HERE,
    ),
    ClassesRecord("f", "title", (ClassesRow("mnist", 2, 0.3, 9, 9, 0.06, 0.5, 0.5, 49.0),), HERE),
    CertifiedFigureRecord(
        "f", "title",
        (
            CertifiedRow(
                "mnist", "fixed", "codes", 0.1, Share(9, 10), Share(7, 10), Share(5, 10), 0.25,
                Share(8, 10), 0, 94.4, "net", "noise",
            ),
        ), 2, {"n_ex": 10}, HERE,
    ),
    PixelFigureRecord(
        "f", "title", "mnist", 9, 0.3, ((0.0,), (1.0,)), ((7, 0, 2),),
        (PixelFact("black", 7.0, 8.0), PixelFact("white", 0.25, share=True)), HERE,
    ),
    HardnessRecord(
        {"name": "toy"}, "density", ((0.0,), (255.0,)),
        (
            HardnessRow(
                0.1, ClassesFacts(0.1, "exact", "real", 9, 64, 2, 0.5, ZERO_TO_ONE, 32.0, 1.5, 0.5),
                SeparabilityFacts(
                    0.1, 0.2, "real", 1.0, None, None, True, 64, 0.5, 9, 0.5, None, False,
                ),
                NeighbourhoodFacts(0.1, 64, 9, "pixel", {"0": 1, "1": 9}, 9, (255,), 2.5),
            ),
        ), HERE,
    ),
    StudyRecord("speed", {"cores": 2}, {"rows": [{"seconds": 0.5, "what": "a"}], "n": 3}, HERE),
)  # fmt: skip
