"""The curve of certified accuracy beside an attack, its page, and its command."""

import numpy as np
import pytest

from art_disc import build_classifier
from art_disc.certificates.divergence import curve as curve_module
from art_disc.certificates.divergence.models import GaussianModel
from art_disc.certificates.divergence.votes import vote_limits
from art_disc.core.errors import InputError
from art_disc.core.records.certificate import CertifiedCurve
from art_disc.defences import GaussianNoise, RandDisc
from art_disc.metrics import certified_accuracy_curve, kl_certify
from art_disc.report import read_run, render_run, write_report

QUIET = {"verbose": False}


class Darken:
    """The attack that takes eps off every pixel: the best one on the classifier below."""

    def __init__(self, eps):
        self.eps = eps

    def generate(self, x, y):
        return np.clip(x - self.eps, 0, 1)


@pytest.fixture(scope="module")
def bright():
    """Images of four pixels, and a classifier of their noisy sum, which is right on all."""
    import torch
    from torch import nn

    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=True))
    with torch.no_grad():
        net[1].weight[:] = torch.tensor([[-1.0] * 4, [1.0] * 4])
        net[1].bias[:] = torch.tensor([1.6, -1.6])
    x = np.random.default_rng(0).uniform(0.55, 0.75, (30, 1, 2, 2)).astype(np.float32)
    classifier = build_classifier(
        net, input_shape=(1, 2, 2), nb_classes=2, defences=[GaussianNoise(0.1)]
    )
    return classifier, x, np.ones(30, int)


class Drawing:
    """As little as votes are taken of: it draws, and has a range."""

    clip_values = (0.0, 1.0)

    def __init__(self, classifier):
        self.predict_draws = classifier.predict_draws


def test_what_only_draws_is_attacked_like_a_classifier(bright):
    classifier, x, y = bright
    options = {"eps": 0.2, "draws": 200, "attack": lambda _, e: Darken(e), **QUIET}
    options["model"] = GaussianModel(0.1)
    curve = certified_accuracy_curve(Drawing(classifier), x, y, **options)
    assert curve.attacked == certified_accuracy_curve(classifier, x, y, **options).attacked


def test_the_attack_counts_what_the_shifted_votes_say(bright):
    classifier, x, y = bright
    eps = (0.05, 0.2, 0.4)
    curve = certified_accuracy_curve(
        classifier, x, y, eps=eps, draws=500, attack=lambda _, e: Darken(e), **QUIET
    )
    # the noise is symmetric, so the vote is the side of the border that the sum lies on
    sums = x.reshape(30, 4).sum(axis=1)
    for point, budget in zip(curve.attacked, eps, strict=True):
        safe = np.abs(sums - 4 * budget - 1.6) > 0.1
        expected = sums - 4 * budget > 1.6
        assert abs(point.right - expected.sum()) <= (~safe).sum()
        assert point.contradicted == 0
        assert point.right >= max(p.certified for p in curve.points if p.eps == budget)
    rights = [point.right for point in curve.attacked]
    assert rights[0] > rights[1] > rights[2] == 0
    assert curve.attack == "100 votes"


def test_what_leaves_the_budget_has_made_nothing(bright):
    classifier, x, y = bright
    options = {"eps": 0.05, "draws": 100, **QUIET}
    far, idle = (
        certified_accuracy_curve(classifier, x, y, attack=lambda _, e, by=by: Darken(by), **options)
        for by in (0.4, 0.0)
    )
    assert far.attacked == idle.attacked
    assert idle.attacked[0].right == 30


def test_an_image_that_is_wrong_when_clean_is_not_right_under_attack(bright):
    classifier, x, y = bright
    # from a sum of 1.4 to one of 2.2, and 1.6 is the border
    curve = certified_accuracy_curve(
        classifier, np.full_like(x, 0.35), y, eps=0.2, draws=500,
        attack=lambda _, e: Darken(-e), **QUIET
    )  # fmt: skip
    assert curve.clean == curve.attacked[0].right == 0


def test_an_attack_draws_anew_for_each_seed_and_budget(bright):
    classifier, x, y = bright

    def drawn(seed):
        numbers = []

        class Draws(Darken):
            def generate(self, x, y):
                numbers.append(np.random.rand())
                return x

        options = {"eps": [0.05, 0.2], "draws": 10, "seed": seed, **QUIET}
        certified_accuracy_curve(classifier, x, y, attack=lambda _, e: Draws(e), **options)
        return numbers

    first, second = drawn(1), drawn(2)
    assert first == drawn(1)
    assert len({*first, *second}) == 4


def test_a_wrong_model_is_contradicted(bright):
    """Believing ten times the noise, it certifies images that the attack breaks."""
    classifier, x, y = bright
    curve = certified_accuracy_curve(
        classifier,
        x,
        y,
        eps=[0.3],
        draws=500,
        model=GaussianModel(1.0),
        attack=lambda _, e: Darken(e),
        **QUIET,
    )
    assert curve.attacked[0].contradicted >= 10


def test_a_contradiction_is_not_one_of_chance(bright, monkeypatch):
    """One image in a million at most is said to be broken by the luck of its votes."""
    asked = []

    def limits(counts, labels, confidence):
        asked.append(confidence)
        return vote_limits(counts, labels, confidence)

    monkeypatch.setattr(curve_module, "vote_limits", limits)
    classifier, x, y = bright
    options = {"draws": 50, "attack": lambda _, e: Darken(e), **QUIET}
    certified_accuracy_curve(classifier, x, y, eps=[0.3], **options)
    # the winner is any of two classes
    assert asked[1:] == [pytest.approx(1 - 1e-6 / 2, abs=1e-9)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"eps": []}, "at least one budget"),
        ({"bounds": ()}, "at least one bound"),
        ({"y": None}, "labels"),
    ],
)
def test_a_curve_of_nothing_is_refused(bright, words, told):
    classifier, x, y = bright
    options = {"y": y, "eps": [0.1], **words}
    with pytest.raises(InputError, match=told):
        certified_accuracy_curve(classifier, x, options.pop("y"), **options, **QUIET)


def test_one_budget_is_enough_and_a_repeated_one_counts_once(bright):
    classifier, x, y = bright
    one = certified_accuracy_curve(classifier, x, y, eps=0.05, draws=50, **QUIET)
    two = certified_accuracy_curve(classifier, x, y, eps=[0.05, 0.05], draws=50, **QUIET)
    assert one.points == two.points
    assert [point.eps for point in one.line("tight")] == [0.05]


def test_the_page_tells_every_line_and_comes_again(bright, tmp_path):
    classifier, x, y = bright
    before = x.copy()
    curve = certified_accuracy_curve(
        classifier, x, y, eps=[0.01, 0.05], draws=300, attack=lambda _, e: Darken(e), **QUIET
    )
    assert np.array_equal(x, before)
    page = write_report(curve, tmp_path)
    text = page.read_text()
    assert "inverted divergence" not in text  # drawn, and told by the picture's words:
    for word in ("tight: ", "pinsker: ", "smoothing: ", "under attack: "):
        assert word in text
    assert "broken by the attack" not in text
    content = page.read_bytes()
    page.unlink()
    assert render_run(tmp_path).read_bytes() == content
    record, _ = read_run(tmp_path)
    assert isinstance(record, CertifiedCurve)
    assert record == curve


def test_contradictions_head_the_page(bright, tmp_path):
    classifier, x, y = bright
    curve = certified_accuracy_curve(
        classifier,
        x,
        y,
        eps=[0.3],
        draws=500,
        model=GaussianModel(1.0),
        attack=lambda _, e: Darken(e),
        **QUIET,
    )
    assert "broken by the attack" in write_report(curve, tmp_path).read_text()


def test_a_certificate_of_one_budget_has_a_page(bright, tmp_path):
    classifier, x, y = bright
    record = kl_certify(classifier, x, y, eps=0.01, draws=300, **QUIET)
    text = write_report(record, tmp_path).read_text()
    assert f"{record.count('certified')} of 30" in text
    assert "less the 0.001 with which a verdict may be wrong" in text
    assert "votes, in all" in text


def test_the_command_takes_a_defence_that_draws(tmp_path, capsys):
    from art_disc.cli.main import main

    arguments = ["certify", "--dataset", "digits", "--n-ex", "6", "--eps", "0.01", "--quiet"]
    arguments += ["--defence", "noise:sigma=0.1", "--draws", "50", "--confidence", "0.9"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "right by 50 votes" in told
    assert "smoothing" in told
    assert (tmp_path / "report.html").is_file()


def test_adaptive_centres_say_so_on_the_page(digits, digits_net, tmp_path):
    classifier = build_classifier(digits_net, data=digits, defences=[RandDisc.preset("mnist")])
    x, y = digits.x_test[:5], digits.y_test[:5]
    curve = certified_accuracy_curve(classifier, x, y, eps=[0.02], draws=20, **QUIET)
    text = write_report(curve, tmp_path).read_text()
    assert "vacuous from eps = 0.015 on" in text


class Beyond:
    """Takes four times its budget from every pixel of the first half, and NaN from the next."""

    def __init__(self, eps):
        self.eps = eps

    def generate(self, x, y):
        moved = x - self.eps
        moved[:10] = x[:10] - 4 * self.eps
        moved[10] = np.nan
        return moved


def test_what_leaves_the_budget_is_no_attack(bright):
    classifier, x, y = bright
    curve = certified_accuracy_curve(
        classifier, x, y, eps=[0.03], draws=500, attack=lambda _, e: Beyond(e), **QUIET
    )
    fair = certified_accuracy_curve(
        classifier, x, y, eps=[0.03], draws=500, attack=lambda _, e: Darken(e), **QUIET
    )
    assert curve.attacked[0].contradicted == 0
    assert curve.attacked[0].right >= fair.attacked[0].right > 0


def test_the_attacked_points_depend_on_the_seed_alone(digits, digits_net):
    from art.attacks.evasion import ProjectedGradientDescent

    classifier = build_classifier(digits_net, data=digits, defences=[GaussianNoise(0.3)])
    x, y = digits.x_test[:40], digits.y_test[:40]

    def run():
        return certified_accuracy_curve(
            classifier,
            x,
            y,
            eps=[0.1],
            draws=20,
            attack_draws=9,
            attack=lambda c, e: ProjectedGradientDescent(
                c, eps=e, eps_step=e / 2, max_iter=2, num_random_init=1, verbose=False
            ),
            **QUIET,
        ).attacked

    first = run()
    classifier.predict(x)
    assert run() == first


def test_options_of_the_enumeration_are_refused_for_a_defence_that_draws(capsys):
    from art_disc.cli.main import main

    arguments = ["certify", "--dataset", "digits", "--n-ex", "2", "--eps", "0.01", "--quiet"]
    assert main([*arguments, "--defence", "noise:sigma=0.1", "--domain", "8bit"]) == 2
    assert "certified by its votes" in capsys.readouterr().err
