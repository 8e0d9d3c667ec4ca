"""C5, C10 to C13: surrogates, losses, and attackers that need no gradient of ours."""

from collections.abc import Callable

from art_disc.core.records import WHITE_BOX, AttackOutcome
from art_disc.defences.preprocessor import CodebookPreprocessor
from art_disc.evaluation.checks.base import Check, Finding, judged, not_run, passed
from art_disc.evaluation.checks.context import Context
from art_disc.evaluation.rows import Row
from art_disc.evaluation.sources import Source, blind_source, gradient_sources
from art_disc.surrogates import SoftAssignment, SurrogateLike

SQUARE, DECISION = "square", "hop_skip_jump"
SQUARE_QUERIES = 5000
RANDOM_DRAWS = 10_000


def _white(ctx: Context, outcome: AttackOutcome) -> bool:
    return outcome.knowledge in WHITE_BOX and outcome.eps == ctx.eps


def spread_of(ctx: Context) -> tuple[SurrogateLike, ...]:
    """Surrogates beside the defence's own: identity, a second temperature, leaky and smoothed."""
    own = [d.surrogate for d in ctx.classifier.defences if isinstance(d, CodebookPreprocessor)]
    alphas = [s.alpha for s in own if isinstance(s, SoftAssignment)] or [10.0]
    return (
        "identity",
        SoftAssignment(alphas[0]),
        SoftAssignment(alphas[0] / 4),
        SoftAssignment(alphas[0], leak=1.0),
        "smooth",
    )


def _surrogate_rows(ctx: Context) -> list[Row]:
    sources = [s for s in gradient_sources(ctx.classifier, spread_of(ctx)) if s.name != "base"]
    return [ctx.row("C5", "pgd", source) for source in sources]


def surrogate_spread(ctx: Context) -> Finding:
    """C5: several surrogates were attacked through; the result is the worst of them."""
    if not any(isinstance(d, CodebookPreprocessor) for d in ctx.classifier.defences):
        return passed("nothing is discretised by a codebook: no surrogate to exchange")
    rows = [o for o in ctx.outcomes(scored_on="defended") if _white(ctx, o)]
    names = {o.surrogate for o in rows if o.surrogate}
    soft = {name for name in names if name.startswith("soft(")}
    complete = "identity" in names and len(soft) >= 2 and any(n.startswith("smooth") for n in names)
    left = {
        name: float((~ctx.broken(o for o in rows if o.surrogate == name)[: ctx.n]
                     & ctx.clean_correct()[: ctx.n]).sum()) / ctx.n
        for name in sorted(names)
    }  # fmt: skip
    told = ", ".join(f"{share:.1%} {name}" for name, share in left.items())
    if not complete:
        return not_run(f"identity, two temperatures and a smoothed step are needed; ran: {told}")
    return passed(f"accuracy left through each: {told}", **left)


def _black_box_rows(ctx: Context) -> list[Row]:
    blind = blind_source(ctx.classifier)
    return [
        ctx.row("C10", SQUARE, blind, settings={"max_iter": SQUARE_QUERIES}),
        ctx.row("C10", DECISION, blind, first=min(ctx.options.n_decision, ctx.n)),
    ]


def _gain(
    ctx: Context, check: str, counts: Callable[[AttackOutcome], bool], limit: float, what: str
) -> Finding:
    """Judge what attacks of one kind broke that no white-box attack did."""
    rows = [o for o in ctx.outcomes(scored_on="defended") if o.eps <= ctx.eps]
    mine = [o for o in rows if counts(o)]
    lost = ctx.unfinished(asked_by=check)
    if lost or not mine:
        why = f"{lost[0].attack}: {lost[0].reason}" if lost else f"no {what} finished"
        return not_run(why)
    white = ctx.broken((o for o in rows if o.knowledge in WHITE_BOX), eps=ctx.eps)
    gained = ctx.broken(mine, eps=ctx.eps) & ~white & ctx.clean_correct()
    reach = max(len(o.correct) for o in mine)
    drop = float(gained.sum()) / reach
    names = ", ".join(sorted({f"{o.attack} on {len(o.correct)}" for o in mine}))
    return judged(
        drop <= limit,
        f"{what} ({names}) broke {gained.sum()} images that no white-box attack broke "
        f"({100 * drop:.1f} points)",
        ctx.ids(gained),
        gained=float(gained.sum()),
        drop=drop,
    )


def black_box(ctx: Context) -> Finding:
    """C10: attacks that see no gradient find nothing that gradients did not."""
    kinds = (SQUARE, DECISION)
    return _gain(
        ctx, "C10", lambda o: o.asked_by == "C10" and o.attack in kinds,
        ctx.thresholds.black_box, "attacks by queries alone",
    )  # fmt: skip


def _random_rows(ctx: Context) -> list[Row]:
    first = min(ctx.options.n_random, ctx.n)
    settings = {"max_iter": RANDOM_DRAWS}
    source = blind_source(ctx.classifier)
    return [ctx.row("C11", "random_search", source, first=first, settings=settings)]


def random_search(ctx: Context) -> Finding:
    """C11: blind guessing finds nothing that the attacks missed."""
    return _gain(ctx, "C11", lambda o: o.attack == "random_search", 0.0, "random search")


def _transfer_rows(ctx: Context) -> list[Row]:
    sources = [s for s in ctx.sources if s.name == "base"]
    if ctx.reference is not None:
        sources.append(ctx.reference)
    if "frozen" in ctx.run.models:
        sources.append(frozen_source(ctx))
    return [ctx.row("C12", "pgd", source) for source in sources]


def frozen_source(ctx: Context) -> Source:
    """The random model with one fixed draw."""
    twin = ctx.run.models["frozen"]
    return Source("frozen", twin, ("frozen", "defended"), "bpda", "frozen draw")


def transfer(ctx: Context) -> Finding:
    """C12: examples made elsewhere find nothing that ours did not."""

    def counts(outcome: AttackOutcome) -> bool:
        elsewhere = outcome.surrogate or ""
        return outcome.knowledge == "base" or elsewhere.startswith(("transfer", "frozen"))

    rows = [o for o in ctx.outcomes(scored_on="defended") if o.eps <= ctx.eps]
    missing = "no adversarially trained network was given to transfer from"
    if not any(counts(o) for o in rows):
        return not_run("no transferred attack finished" if ctx.reference else missing)
    white = ctx.broken((o for o in rows if o.knowledge in WHITE_BOX and not counts(o)), eps=ctx.eps)
    gained = ctx.broken(filter(counts, rows), eps=ctx.eps) & ~white & ctx.clean_correct()
    drop = float(gained.sum()) / len(ctx.run.x)
    if ctx.reference is None and drop <= ctx.thresholds.transfer:
        return not_run(missing)
    return judged(
        drop <= ctx.thresholds.transfer,
        f"transferred examples broke {gained.sum()} images that no white-box attack broke "
        f"({100 * drop:.1f} points)",
        ctx.ids(gained),
        gained=float(gained.sum()),
        drop=drop,
    )


def _loss_rows(ctx: Context) -> list[Row]:
    margin = "sign_adam" if ctx.norm == "inf" else "apgd_dlr"
    rows = [ctx.row("C13", name, s) for s in ctx.white_box for name in ("pgd", margin)]
    return rows + [ctx.row("C13", "pgd", s, targeted=True) for s in ctx.white_box]


def diverse_losses(ctx: Context) -> Finding:
    """C13: cross-entropy, a margin, and a target were attacked with; the worst counts."""
    rows = [o for o in ctx.outcomes(scored_on="defended") if _white(ctx, o)]
    kinds = {
        "cross-entropy": [o for o in rows if o.attack in ("pgd", "apgd_ce") and not o.targeted],
        "margin": [o for o in rows if o.attack in ("sign_adam", "apgd_dlr") and not o.targeted],
        "targeted": [o for o in rows if o.targeted],
    }
    missing = [name for name, found in kinds.items() if not found]
    if missing:
        lost = ctx.unfinished(asked_by="C13")
        why = f": {lost[0].status}: {lost[0].reason}" if lost else ""
        return not_run(f"no {' and no '.join(missing)} attack finished{why}")
    correct = ctx.clean_correct()[: ctx.n]
    left = {
        name: float((correct & ~ctx.broken(found)[: ctx.n]).sum()) / ctx.n
        for name, found in kinds.items()
    }
    worst = float((correct & ~ctx.broken(rows)[: ctx.n]).sum()) / ctx.n
    told = ", ".join(f"{share:.1%} {name}" for name, share in left.items())
    return passed(f"accuracy left: {told}; together {worst:.1%}", **left, together=worst)


CHECKS = (
    Check(
        "C5", "Several surrogates", "standard",
        "attack through identity, soft assignment at two temperatures and a smoothed step",
        surrogate_spread, _surrogate_rows,
    ),
    Check(
        "C10", "Queries find nothing new", "standard",
        "the white-box attack is too weak: the examples listed have no gradient that leads to "
        "them; attack longer, or through another surrogate or loss",
        black_box, _black_box_rows,
    ),
    Check(
        "C11", "Random search finds nothing new", "full",
        "the white-box attack is too weak: guessing beats it on the examples listed",
        random_search, _random_rows,
    ),
    Check(
        "C12", "Transfers find nothing new", "standard",
        "gradients are masked: examples made elsewhere beat those made here; add the transfer to "
        "the attacks and mend the surrogate",
        transfer, _transfer_rows,
    ),
    Check(
        "C13", "Several losses", "standard",
        "attack with cross-entropy, with a margin or DLR loss, and targeted",
        diverse_losses, _loss_rows,
    ),
)  # fmt: skip
