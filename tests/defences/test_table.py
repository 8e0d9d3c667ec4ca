import re
from argparse import ArgumentParser

import numpy as np
import pytest

from art_disc.cli import evaluate
from art_disc.cli.options import SHARED
from art_disc.codebooks import (
    BitDepthCodebook,
    Codebook,
    DensityCodebook,
    KMeansCodebook,
    KMedoidsCodebook,
    MarginCodebook,
    UniformCodebook,
)
from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.defences import (
    DEFENCES,
    ColorDepthReduction,
    GaussianNoise,
    InputBitDepth,
    PixelDiscretization,
    Thermometer,
    codebook_files,
    parse_defence,
    parse_defences,
)
from art_disc.defences.table import parse_value
from art_disc.surrogates import Identity, Ramp, SoftAssignment
from tests.lqvae_file import lqvae_file


@pytest.mark.parametrize(
    ("text", "kind", "params", "surrogate"),
    [
        ("density", PixelDiscretization, {"n_codes": 2, "radius": 0.6}, SoftAssignment()),
        (
            "density:n_codes=10,radius=64/255,kernel=box,bandwidth=3,metric=l2,surrogate=soft:25.5",
            PixelDiscretization,
            {"n_codes": 10, "radius": 64 / 255, "kernel": "box", "bandwidth": 3.0, "metric": "l2"},
            SoftAssignment(25.5),
        ),
        ("colordepth:n_codes=4", ColorDepthReduction, {"n_codes": 4}, SoftAssignment()),
        ("colordepth:surrogate=identity", ColorDepthReduction, {"n_codes": 8}, Identity()),
        ("bitdepth", InputBitDepth, {"bits": 2}, Identity()),
        ("bitdepth:bits=3,", InputBitDepth, {"bits": 3}, Identity()),
    ],
)
def test_a_line_becomes_the_defence_that_it_names(text, kind, params, surrogate):
    defence = parse_defence(text)
    assert type(defence) is kind
    assert defence.surrogate == surrogate
    got = defence.codebook.get_params()
    assert {key: got[key] for key in params} == params


@pytest.mark.parametrize(
    ("text", "kind", "params"),
    [
        ("density:radius=.1", DensityCodebook, {"radius": 0.1}),
        (
            "kmedoids:n_codes=3,metric=sqeuclidean,assign_metric=l1,solver=swap,sample_size=9",
            KMedoidsCodebook,
            {"n_codes": 3, "metric": "sqeuclidean", "assign_metric": "l1", "sample_size": 9},
        ),
        ("kmedoids:per_channel=true", KMedoidsCodebook, {"per_channel": True}),
        ("kmeans:n_init=2,random_state=5", KMeansCodebook, {"n_init": 2, "random_state": 5}),
        ("margin:eps=0.2,least_share=.1", MarginCodebook, {"eps": 0.2, "least_share": 0.1}),
        ("colordepth:n_codes=3", UniformCodebook, {"n_codes": 3}),
        ("bitdepth:bits=1", BitDepthCodebook, {"bits": 1, "centred": False}),
        ("bitdepth:bits=3,centred=true", BitDepthCodebook, {"bits": 3, "centred": True}),
    ],
)
def test_a_line_becomes_the_codebook_that_it_names(text, kind, params):
    book = parse_defence(text).codebook
    assert type(book) is kind
    assert {key: book.get_params()[key] for key in params} == params


@pytest.mark.parametrize("name", DEFENCES)
def test_every_row_makes_what_its_name_says(name):
    row = DEFENCES[name]
    for key in (key for key, kind in row.options.items() if kind is not str):
        with pytest.raises(InputError):
            parse_defence(f"{name}:{key}=")
    if row.kind.meant("soft"):
        assert row.make(surrogate="soft:3").surrogate == SoftAssignment(3.0)
    else:
        refused = f"{name} takes .*got 'surrogate=soft'|must be .* or identity, got 'soft'"
        needed = f"file={lqvae_file((1, 8, 8))}," if name == "lqvae" else ""
        with pytest.raises(InputError, match=refused):
            parse_defence(f"{name}:{needed}surrogate=soft")


def test_a_line_of_noise():
    noise = parse_defence("noise:sigma=38/255,clip=true,seed=7")
    assert type(noise) is GaussianNoise
    assert (noise.sigma, noise.clip, noise.seed) == (38 / 255, True, 7)
    assert noise.describe() == f"GaussianNoise(sigma={38 / 255!r}, clip=True, seed=7)"


def test_a_line_of_levels():
    codes = parse_defence("thermometer:n_levels=9,encoding=one_hot,surrogate=ramp:0.25")
    assert type(codes) is Thermometer
    assert (codes.n_levels, codes.encoding, codes.surrogate) == (9, "one_hot", Ramp(0.25))
    assert codes.describe() == "Thermometer(n_levels=9, encoding='one_hot')"
    assert parse_defence("thermometer").surrogate == SoftAssignment()


def test_a_codebook_file_is_used(tmp_path):
    path = Codebook([0.2, 0.7], metric="l1", ties="highest").save(tmp_path / "own.npz")
    book = parse_defence(str(path)).codebook
    assert book.codewords_.ravel().tolist() == [np.float32(0.2), np.float32(0.7)]
    assert (book.metric, book.ties) == ("l1", "highest")
    path.write_bytes(b"PK")
    with pytest.raises(FileFormatError, match=r"own\.npz"):
        parse_defence(str(path))
    with pytest.raises(DataNotFoundError):
        parse_defence(str(tmp_path / "absent.npz"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "webp",
            "unknown defence 'webp'; known: density, kmedoids, kmeans, margin, colordepth, "
            "bitdepth, thermometer, noise",
        ),
        ("", "unknown defence ''"),
        ("density:colour=3", "density takes n_codes.*got 'colour=3'"),
        ("density:n_codes", "got 'n_codes'"),
        ("density:n_codes=two", "n_codes must be a number, got 'two'"),
        ("density:radius=1/0", "radius must be a number, got '1/0'"),
        ("bitdepth:bits=9", "bits must lie in"),
        ("bitdepth:n_codes=3", "bitdepth takes bits"),
        ("noise:sigma=0", "sigma must be a number > 0"),
        ("thermometer:n_levels=1", "n_levels must be a whole number from 2 to 256, got 1"),
        ("thermometer:encoding=cold", "encoding must be one of thermometer, one_hot, got 'cold'"),
        ("lqvae", "lqvae needs the file of a fitted LQVAE, lqvae:file=vae.npz"),
        ("bitdepth:surrogate=ramp", "surrogate must be identity, soft.*got 'ramp'"),
    ],
)
def test_a_line_that_does_not_fit_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_defence(text)


def test_a_chain_is_applied_from_left_to_right():
    x = np.random.default_rng(0).random((2, 1, 9, 9), dtype=np.float32)

    def through(text):
        made = x
        for defence in parse_defences(text):
            made, _ = defence(made)
        return made

    larger = "bilinear:height=18,width=18"
    mapped = through(f"{larger} + bitdepth:bits=1")
    between = through(f"bitdepth:bits=1 + {larger}")
    assert mapped.shape == between.shape == (2, 1, 18, 18)
    assert len(np.unique(mapped)) == 2 < len(np.unique(between))
    assert parse_defences("none") == []
    assert len(parse_defences("bitdepth")) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bitdepth +", "unknown defence ''"),
        ("bitdepth + + maxpool", r"unknown defence '\+ maxpool'"),
        (" + bitdepth", "unknown defence ''"),
        ("none + tv", "none stands alone"),
        ("bitdepth:bits=2+density:n_codes=2", "spaces around its plus"),
    ],
)
def test_a_chain_with_a_part_that_is_none_is_refused(text, told):
    with pytest.raises(InputError, match=told):
        parse_defences(text)


def test_every_codebook_file_of_a_chain_is_found():
    text = "a.npz + randdisc:centres=dir/b.npz,sigma=0.2 + noise + c d.npz"
    assert codebook_files(text) == ["a.npz", "dir/b.npz", "c d.npz"]
    assert codebook_files("none") == codebook_files("bitdepth:bits=2 + tv") == []


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("64/255", float, 64 / 255),
        ("1e-3", float, 0.001),
        ("7", int, 7),
        ("True", bool, True),
        ("false", bool, False),
        ("l_inf", str, "l_inf"),
    ],
)
def test_words_become_values(text, kind, value):
    assert parse_value(text, kind, "option") == value
    assert type(parse_value(text, kind, "option")) is kind


@pytest.mark.parametrize(
    ("text", "kind"), [("yes", bool), ("1.5", int), ("", float), ("nan", float)]
)
def test_words_that_are_no_values_are_refused(text, kind):
    with pytest.raises(InputError, match=rf"^option must be .*, got '{text}'"):
        parse_value(text, kind, "option")


def test_the_help_of_the_commands_names_every_word():
    def words(text):
        return set(re.findall(r"[a-z]+(?:-[a-z]+)*", text))

    assert set(DEFENCES) <= words(SHARED["--defence"]["help"])
    parser = ArgumentParser()
    evaluate.add(parser)
    told = words(next(a.help for a in parser._actions if "--surrogates" in a.option_strings))
    for row in DEFENCES.values():
        assert set(row.kind.vocabulary.words) <= told
