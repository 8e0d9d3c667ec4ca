"""Heat maps: the colours of shares, and the plot of a sweep's defences against its attacks."""

from functools import partial
from typing import Any

from art_disc.core.records import Share
from art_disc.report.drawing import Drawing

# all broken, half, none broken; two hues that every colour vision tells apart
_ENDS = ((0x8C, 0x2D, 0x04), (0xF7, 0xF7, 0xF7), (0x08, 0x51, 0x9C))


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` in [0, 1] (WCAG 2.2, definition of relative luminance)."""
    levels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2).

    >>> round(contrast("#ffffff", "#000000"), 2)
    21.0
    """
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def heat_colour(value: float) -> tuple[str, str]:
    """Background and text colour of a share in [0, 1]; their contrast is 4.5 at least."""
    low, middle, high = _ENDS
    ends, part = ((low, middle), 2 * value) if value < 0.5 else ((middle, high), 2 * value - 1)
    mixed = (round(a + part * (b - a)) for a, b in zip(*ends, strict=True))
    back = "#" + "".join(f"{level:02x}" for level in mixed)
    return back, max("#ffffff", "#000000", key=partial(contrast, back))


# one class of the stylesheet for each tenth
PALETTE = tuple(heat_colour(i / 10) for i in range(11))

Grid = dict[tuple[str, str], Share | None]


def heat_plot(title: str, grids: dict[str, Grid]) -> Drawing | None:
    """Draw a map for each budget of `grids`: defences down, attacks across, shares in colour."""
    numbers = [
        f"{at}: " + ", ".join(f"{d} under {a} {s.value:.0%}" for (d, a), s in grid.items() if s)
        for at, grid in grids.items()
        if any(grid.values())
    ]
    if not numbers:
        return None
    rows = len({defence for grid in grids.values() for defence, _ in grid})
    height = 1.0 + len(grids) * (0.45 + 0.38 * rows)
    caption = (
        f"{title}: share of examples that this attack did not break, over all its surrogates and "
        "seeds. Dark orange: all broken; dark blue: none broken."
    )
    alt = f"Heat map of accuracy, defence by attack. {'; '.join(numbers)}."
    return Drawing(partial(_paint, grids=grids), alt, caption, height=min(height, 40.0))


def _paint(figure: Any, *, grids: dict[str, Grid]) -> None:
    panels = figure.subplots(len(grids), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (at, grid) in zip(panels, grids.items(), strict=True):
        defences = list(dict.fromkeys(defence for defence, _ in grid))
        attacks = list(dict.fromkeys(attack for _, attack in grid))
        for (defence, attack), share in grid.items():
            x, y = attacks.index(attack), defences.index(defence)
            back, ink = heat_colour(share.value) if share else ("#ffffff", "#52606d")
            axes.axvspan(
                x - 0.5,
                x + 0.5,
                ymin=1 - (y + 1) / len(defences),
                ymax=1 - y / len(defences),
                facecolor=back,
                edgecolor="white",
                linewidth=1,
            )
            words = f"{share.value:.0%}" if share else "-"
            axes.text(x, y, words, ha="center", va="center", color=ink, fontsize=9)
        axes.set(xlim=(-0.5, len(attacks) - 0.5), ylim=(len(defences) - 0.5, -0.5))
        axes.set_xticks(range(len(attacks)), attacks, rotation=30, ha="right", fontsize=9)
        axes.set_yticks(range(len(defences)), [_short(d) for d in defences], fontsize=9)
        axes.set_title(at, fontsize=10, loc="left")
        axes.grid(visible=False)
        axes.tick_params(length=0)


def _short(name: str) -> str:
    return name if len(name) <= 32 else f"{name[:31]}\u2026"
