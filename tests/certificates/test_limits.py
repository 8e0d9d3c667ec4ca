"""Confidence limits of a certified share, and how a certificate is kept."""

import math

import numpy as np
import pytest
from scipy import stats

from art_disc.codebooks import Codebook
from art_disc.core.errors import InputError
from art_disc.core.records import CertificateRecord, load_record
from art_disc.metrics import Certificate, certify, printed_proposition2_limit


def failure(limit, s, m):
    """Exact probability that the limit of a binomial sample lies above the true share."""
    counts = np.arange(m + 1)
    above = np.array([limit(int(c)) > s for c in counts])
    return float(stats.binom.pmf(counts[above], m, s).sum())


def test_the_printed_formula_is_reproduced():
    h = math.sqrt(math.log(100) / 20_000)
    assert printed_proposition2_limit(0.96, 10_000, 0.01) == pytest.approx((1 - h) * 0.96)
    # Chen et al. 2018, Table 2, and Chen et al. 2019, Table IV
    for share, m, printed in ((98.1, 1000, 93.4), (26.4, 1000, 25.1), (98.1, 10_000, 96.61)):
        limit = 100 * printed_proposition2_limit(share / 100, m, 0.01)
        assert limit == pytest.approx(printed, abs=0.051 if m == 1000 else 0.0051)


def test_the_printed_formula_is_no_lower_limit_and_the_record_has_one(record_of):
    m, s = 10_000, 0.04
    printed = failure(lambda c: printed_proposition2_limit(c / m, m, 0.01), s, m)
    assert printed == pytest.approx(0.3674, abs=1e-4)
    small, s = 200, 0.9
    assert failure(lambda c: record_of(c, small).lower_limit(0.99), s, small) <= 0.01


def test_the_lower_limit_is_where_the_binomial_tail_is_one_per_cent(record_of):
    limit = record_of(964, 1000).lower_limit(0.99)
    assert stats.binom.sf(963, 1000, limit) == pytest.approx(0.01, rel=1e-6)
    assert record_of(0, 10).lower_limit() == 0


@pytest.mark.parametrize(
    "numbers", [(1.1, 10, 0.1), (-0.1, 10, 0.1), (0.5, 0, 0.1), (0.5, 10, 0.0)]
)
def test_numbers_outside_their_range_are_refused(numbers):
    with pytest.raises(InputError):
        printed_proposition2_limit(*numbers)


@pytest.fixture
def certificate(thresholded):
    classifier = thresholded(Codebook([0.0, 1.0]), (1, 1, 2), 0.3)
    x = np.array([[0, 0], [0.45, 0], [0.9, 0.9]], dtype=np.float32).reshape(3, 1, 1, 2)
    return certify(classifier, x, [0, 0, 0], eps=0.1, verbose=False)


@pytest.fixture
def record_of(certificate):
    def make(certified, total):
        data = certificate.record.to_dict()
        data["verdicts"] = ["certified"] * certified + ["falsified"] * (total - certified)
        data["reasons"] = [""] * total
        for name in ("free_pixels", "log2_images", "evaluated", "correct"):
            data[name] = data[name][:1] * total
        return CertificateRecord.from_dict(data)

    return make


def test_a_certificate_tells_what_its_record_tells(certificate):
    assert certificate.verdicts == ("certified", "falsified", "falsified")
    assert certificate.count("falsified") == 2
    assert certificate.certified_accuracy == pytest.approx(1 / 3)
    assert certificate.lower_limit(0.9) == certificate.record.lower_limit(0.9)
    assert certificate.record.evaluated == (1, 2, 0)
    for word in ("l_inf", "real images in [0, 1]", "ties", "1e-05", "deterministic"):
        assert word in certificate.record.assumes


def test_a_certificate_comes_back_from_its_folder(certificate, tmp_path):
    assert certificate.save(tmp_path) == tmp_path
    back = Certificate.load(tmp_path)
    assert back.record == certificate.record == load_record(tmp_path / "record.json")
    assert sorted(back.witnesses) == [1, 2]
    for i, witness in certificate.witnesses.items():
        assert np.array_equal(back.witnesses[i], witness)


def test_a_certificate_makes_its_report(certificate, tmp_path):
    pytest.importorskip("jinja2")
    pytest.importorskip("matplotlib")
    page = certificate.report(tmp_path)
    assert page.is_file()
    assert Certificate.load(tmp_path).record == certificate.record
