"""An evaluation attacks through the surrogates that its defences have words for."""

import numpy as np
import pytest

import art_disc as ad
from art_disc.cli.main import main
from art_disc.core.errors import InputError
from art_disc.core.records import load_record
from art_disc.evaluation.sources import gradient_sources
from art_disc.evaluation.sweep.words import gradient_sources as planned_sources

SHAPE = {"input_shape": (1, 8, 8), "nb_classes": 10}


def around(net, *defences, **options):
    return ad.build_classifier(net, **SHAPE, defences=list(defences), **options)


def attacked(classifier, data, **options):
    how = {"attacks": ["fgsm"], "eps": 0.2, "n_ex": 6, "checks": None, "verbose": False}
    record = ad.evaluate(classifier, data, **how | options).record
    return [row.surrogate for row in record.select(scored_on="defended") if row.surrogate]


def test_a_record_names_the_surrogates_of_its_defences(digits, digits_net):
    jpeg = around(digits_net, ad.JpegCompression(50))
    words = ["dct:10", "dct-identity", "dct:10.0", "identity", "dct"]
    # one that says what another one, or the defence itself, says is not run again
    assert attacked(jpeg, digits, surrogates=words) == [
        "dct(alpha=40)",
        "dct(alpha=10)",
        "dct-identity",
        "identity",
    ]
    chain = around(digits_net, ad.TotalVariation(0.2, 2), ad.RandDisc(2), eot_samples=1)
    assert attacked(chain, digits, surrogates=["mix:20", "unrolled", "mix"]) == [
        "unrolled+mix",
        "mix(alpha=20)",
    ]
    assert attacked(jpeg, digits, surrogates=["dct:10"], through="dct:10") == ["dct(alpha=10)"]
    assert attacked(jpeg, digits, through="dct") == ["dct(alpha=40)"]


def test_the_attack_is_the_one_through_that_word(digits, digits_net):
    jpeg = around(digits_net, ad.JpegCompression(50))
    x, y = digits.x_test[:6], np.eye(10, dtype=np.float32)[digits.y_test[:6]]
    source = gradient_sources(jpeg, ["dct:3"])[-1]
    expected = jpeg.with_surrogate("dct:3").loss_gradient(x, y)
    assert np.array_equal(source.classifier.loss_gradient(x, y), expected)
    assert not np.allclose(jpeg.loss_gradient(x, y), expected)


def test_what_none_takes_is_refused_but_for_the_usual_two(digits, digits_net):
    jpeg = around(digits_net, ad.JpegCompression(50))
    assert attacked(jpeg, digits) == ["dct(alpha=40)", "identity"]
    for word in ("soft:5", "mix:20", "nonsense", ad.SoftAssignment(5)):
        with pytest.raises(InputError, match="JpegCompression takes dct"):
            attacked(jpeg, digits, surrogates=["identity", word])
    with pytest.raises(InputError, match="through must be one of base, own, identity, got 'mix'"):
        attacked(jpeg, digits, through="mix")
    # without a defence there is nothing to exchange
    assert attacked(around(digits_net), digits, surrogates=["dct"]) == []


def test_a_sweep_takes_them_where_the_defence_does():
    words = ["own", "identity", "dct:10", "mix:20", "soft:5"]
    assert planned_sources("jpeg:quality=50", words) == ("own", "identity", "dct:10")
    assert planned_sources("jpeg:quality=50", ["own", "dct"]) == ("own",)
    assert planned_sources("randdisc:n_clusters=2", words) == ("own", "identity", "mix:20")
    assert planned_sources("bitdepth:bits=2", words) == ("own", "soft:5")
    assert planned_sources("none", words) == ("own",)
    for defence in ("jpeg:quality=50", "none"):
        with pytest.raises(InputError, match="known are identity"):
            planned_sources(defence, ["dct:x"])


def test_the_command_takes_them(tmp_path, capsys):
    words = ["evaluate", "--dataset", "digits", "--attacks", "fgsm", "--checks", "none"]
    words += ["--n-ex", "5", "--eps", "0.1", "--epochs", "1", "--reference", "none", "--quiet"]
    words += ["--defence", "jpeg:quality=50", "--out", str(tmp_path)]
    assert main([*words, "--surrogates", "dct:10,identity"]) == 0
    rows = load_record(tmp_path / "record.json").select(scored_on="defended")
    names = ("dct(alpha=40)", "dct(alpha=10)", "identity")
    assert tuple(row.surrogate for row in rows if row.surrogate) == names
    capsys.readouterr()
    assert main([*words, "--surrogates", "mix"]) == 2
    assert "JpegCompression takes dct[:ALPHA], dct-identity or identity" in capsys.readouterr().err
