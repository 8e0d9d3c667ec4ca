"""The table of defences: names that the command line takes, and what the contract tests run over.

A new defence adds its line here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from art_disc.codebooks import (
    Codebook,
    DensityCodebook,
    KMeansCodebook,
    KMedoidsCodebook,
    MarginCodebook,
)
from art_disc.core.checks import check_choice
from art_disc.core.errors import InputError
from art_disc.core.showing import Shown
from art_disc.core.words import known_words, naming, parse_number
from art_disc.defences.discretization import ColorDepthReduction, InputBitDepth, PixelDiscretization
from art_disc.defences.jpeg import JpegCompression
from art_disc.defences.lqvae import LQVAEFilter
from art_disc.defences.noise import GaussianNoise
from art_disc.defences.pooling import BilinearResize, MaxPoolDownsample
from art_disc.defences.preprocessor import MapPreprocessor
from art_disc.defences.randdisc import RandDisc, RandMix
from art_disc.defences.randdisc_base import ClusterPreprocessor
from art_disc.defences.resize_pad import ResizePad
from art_disc.defences.thermometer import Thermometer
from art_disc.defences.total_variation import TotalVariation


@dataclass(frozen=True, slots=True)
class DefenceRow(Shown):
    """One line of the table.

    Attributes:
        kind: The class of what is made.
        options: Options that `NAME:key=value` accepts, with their types; `surrogate` comes by
            itself.
        maker: Makes the defence from keyword options, where that is not the class itself.
    """

    kind: type[MapPreprocessor]
    options: dict[str, type]
    maker: Callable[..., MapPreprocessor] | None = None

    def make(self, **options: Any) -> MapPreprocessor:
        """Return the defence of keyword options."""
        return (self.maker or self.kind)(**options)

    @property
    def takes_surrogate(self) -> bool:
        """Whether its backward pass can be exchanged."""
        return "surrogate" in self.kind.params

    @property
    def known(self) -> dict[str, type]:
        """Every option with its type."""
        return self.options | ({"surrogate": str} if self.takes_surrogate else {})


def _learned(
    kind: Callable[..., Codebook], surrogate: str = "soft", **options: Any
) -> PixelDiscretization:
    return PixelDiscretization(kind(**options), surrogate)


def _clusters(
    kind: type[RandDisc] | type[RandMix], *, preset: str = "mnist", **options: Any
) -> ClusterPreprocessor:
    if options.get("centres", "").endswith(".npz"):
        options = {"n_clusters": None} | options | {"centres": Codebook.load(options["centres"])}
    return kind.preset(preset, **options)


def _purifier(file: str = "", **options: Any) -> LQVAEFilter:
    if not file:
        msg = "lqvae needs the file of a fitted LQVAE, lqvae:file=vae.npz"
        raise InputError(msg)
    return LQVAEFilter(file, **options)


_CLUSTERED: dict[str, type] = {
    "n_codes": int,
    "sample_size": int,
    "n_init": int,
    "per_channel": bool,
    "assign_metric": str,
    "random_state": int,
}

_CENTRES: dict[str, type] = {
    "preset": str,
    "n_clusters": int,
    "n_samples": int,
    "sigma": float,
    "tau": float,
    "gamma": float,
    "centres": str,
    "shared_positions": bool,
    "seed": int,
}

DEFENCES: dict[str, DefenceRow] = {
    "density": DefenceRow(
        PixelDiscretization,
        {"n_codes": int, "radius": float, "kernel": str, "bandwidth": float, "metric": str},
        partial(_learned, DensityCodebook),
    ),
    "kmedoids": DefenceRow(
        PixelDiscretization,
        {**_CLUSTERED, "metric": str, "solver": str, "refinements": int},
        # one line names one codebook, so the seed of a line that gives none is fixed
        partial(_learned, KMedoidsCodebook, random_state=0),
    ),
    "kmeans": DefenceRow(
        PixelDiscretization, _CLUSTERED, partial(_learned, KMeansCodebook, random_state=0)
    ),
    "margin": DefenceRow(
        PixelDiscretization,
        {"n_codes": int, "eps": float, "least_share": float, "per_channel": bool},
        partial(_learned, MarginCodebook),
    ),
    "colordepth": DefenceRow(ColorDepthReduction, {"n_codes": int}),
    "bitdepth": DefenceRow(InputBitDepth, {"bits": int, "centred": bool}),
    "thermometer": DefenceRow(Thermometer, {"n_levels": int, "encoding": str}),
    "noise": DefenceRow(GaussianNoise, {"sigma": float, "clip": bool, "seed": int}),
    "randdisc": DefenceRow(RandDisc, _CENTRES, partial(_clusters, RandDisc)),
    "randmix": DefenceRow(RandMix, {"alpha": float, **_CENTRES}, partial(_clusters, RandMix)),
    "maxpool": DefenceRow(
        MaxPoolDownsample,
        {"filter_size": int, "stride": int, "resize": bool},
        partial(MaxPoolDownsample, filter_size=2, stride=2),
    ),
    "bilinear": DefenceRow(
        BilinearResize,
        {"height": int, "width": int},
        partial(BilinearResize, height=28, width=28),
    ),
    "jpeg": DefenceRow(JpegCompression, {"quality": int, "ratio": float, "subsampling": str}),
    "tv": DefenceRow(
        TotalVariation,
        {"weight": float, "steps": int, "kind": str, "smoothing": float, "step_size": float},
    ),
    "resizepad": DefenceRow(
        ResizePad,
        {
            "lowest": int,
            "highest": int,
            "size": int,
            "method": str,
            "fill": float,
            "per_image": bool,
            "back": bool,
            "seed": int,
        },
    ),
    "lqvae": DefenceRow(LQVAEFilter, {"file": str, "inference": str, "seed": int}, _purifier),
}


def parse_value(text: str, kind: type, name: str) -> Any:
    """Return the value of option `name`, a number (64/255 too), a word or a flag; refuse others."""
    if kind is bool:
        return check_choice(text.lower(), name, ("true", "false")) == "true"
    return text if kind is str else parse_number(text, kind, name)


def _parse(text: str) -> tuple[DefenceRow, dict[str, Any]]:
    name, _, rest = text.partition(":")
    if name not in DEFENCES:
        msg = f"unknown defence {name!r}; {known_words(name, DEFENCES)}, or a codebook file (.npz)"
        if name == "none":
            msg = "none stands alone, without other defences"
        raise InputError(msg)
    row = DEFENCES[name]
    known = row.known
    options = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals or not value or key not in known:
            msg = f"{name} takes {', '.join(known)} as key=value, got {item!r}"
            raise InputError(msg)
        if "+" in value and value.partition("+")[2].partition(":")[0] in DEFENCES:
            msg = f"a chain of defences has spaces around its plus, 'A + B'; got {item!r}"
            raise InputError(msg)
        options[key] = parse_value(value, known[key], key)
    return row, options


def parse_defence(text: str) -> MapPreprocessor:
    """Return the defence of `NAME:key=value,...`, or one around the codebook in an npz file.

    >>> parse_defence("bitdepth:bits=3").codebook
    BitDepthCodebook(bits=3)

    Raises:
        InputError: Unknown name, option or value.
        FileFormatError: The file is no codebook.
    """
    if _is_file(text):
        return PixelDiscretization(Codebook.load(text))
    with naming(f"defence {text!r}"):
        row, options = _parse(text)
        return row.make(**options)


def parse_defences(text: str) -> list[MapPreprocessor]:
    """Return the defences of `A + B + ...`, applied from left to right; `none` is the empty list.

    The plus stands between spaces; each part is one of `parse_defence`.

    >>> [type(d).__name__ for d in parse_defences("maxpool + randdisc + bilinear:height=8,width=8")]
    ['MaxPoolDownsample', 'RandDisc', 'BilinearResize']

    Raises:
        InputError: Unknown name, option or value, or an empty part.
        FileFormatError: A file is no codebook.
    """
    if text.strip() == "none":
        return []
    return [parse_defence(part) for part in _parts(text)]


def codebook_files(text: str) -> list[str]:
    """Return the names of the files that the words of `parse_defences` read, in order."""
    found = []
    for part in _parts(text):
        if _is_file(part):
            found.append(part)
        else:
            values = (item.partition("=")[2] for item in part.partition(":")[2].split(","))
            found += [value for value in values if value.endswith(".npz")]
    return found


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\s\+(?:\s|$)", text)]


def _is_file(text: str) -> bool:
    return text.endswith(".npz") and text.partition(":")[0] not in DEFENCES
