"""C5, C10 to C13: surrogates, losses, and attackers that need no gradient of ours."""

from collections.abc import Callable

from art_disc.attacks import ATTACKS
from art_disc.attacks.random_search import RandomSearch
from art_disc.core.records import AttackOutcome
from art_disc.defences import traits
from art_disc.estimators.signs import own_signs
from art_disc.evaluation.checks.base import Check, Finding, judged, no_reference, not_run, passed
from art_disc.evaluation.checks.context import LUCK, Context
from art_disc.evaluation.planned import PlannedTrial
from art_disc.evaluation.sources import Source, blind_source, gradient_sources, relaxed_source
from art_disc.networks.sign_gradient import SPREAD
from art_disc.surrogates import Surrogate, SurrogateLike

SQUARE_QUERIES, RANDOM_DRAWS = 5000, 10_000
_QUERIES = "attacks by queries alone"


def spread_of(ctx: Context) -> tuple[SurrogateLike, ...]:
    """Surrogates beside those it has: identity, what each defence says of itself, and of signs.

    Of several defences that take the same surrogates the first speaks for all.
    """
    each: dict[str, tuple[Surrogate, ...]] = {}
    for known in map(traits, ctx.classifier.defences):
        if spread := known.spread():
            each.setdefault(known.vocabulary.usage, spread)
    signs = SPREAD if own_signs(ctx.classifier) else ()
    return ("identity", *dict.fromkeys(one for spread in each.values() for one in spread), *signs)


def _surrogate_sources(ctx: Context) -> list[Source]:
    return [s for s in gradient_sources(ctx.classifier, spread_of(ctx)) if s.name != "base"]


def _surrogate_trials(ctx: Context) -> list[PlannedTrial]:
    return [ctx.trial("C5", "pgd", source) for source in _surrogate_sources(ctx)]


def surrogate_spread(ctx: Context) -> Finding:
    """C5: several surrogates were attacked through; the result is the worst of them."""
    needed = [s.surrogate for s in _surrogate_sources(ctx) if s.surrogate]
    if not needed:
        return passed("nothing is discretised: no surrogate to exchange")
    outcomes = ctx.white_outcomes(eps=ctx.eps)
    names = sorted({o.surrogate for o in outcomes if o.surrogate})
    left = {name: ctx.left(o for o in outcomes if o.surrogate == name) for name in names}
    shares = ", ".join(f"{share:.1%} {name}" for name, share in left.items()) or "none"
    if any(name not in left for name in needed):
        return not_run(f"{', '.join(needed)} are needed; ran: {shares}")
    return passed(f"accuracy left through each: {shares}", **left)


def _black_box_trials(ctx: Context) -> list[PlannedTrial]:
    blind = blind_source(ctx.classifier)
    return [
        ctx.trial("C10", "square", blind, settings={"max_iter": SQUARE_QUERIES}),
        ctx.trial("C10", "hop_skip_jump", blind, first=min(ctx.options.n_decision, ctx.n)),
    ]


def _gain(ctx: Context, mine: list[AttackOutcome], limit: float, what: str) -> Finding:
    """Judge what attacks of one kind broke that no white-box attack did.

    The drop is the largest that one of them makes of the examples that it was run on: a part of
    the examples must not be thinned by the others.
    """
    if not mine:
        return not_run(f"no {what} finished")
    usual = [o for o in ctx.white_outcomes(beside=mine) if o.eps <= ctx.eps]
    white = ctx.broken(usual, eps=ctx.eps)
    new = ctx.clean_correct() & ~white
    gained = ctx.broken(mine, eps=ctx.eps) & new
    drop = max(float((ctx.broken([o], eps=ctx.eps) & new).sum()) / len(o.correct) for o in mine)
    names = ", ".join(sorted({f"{o.attack} on {len(o.correct)}" for o in mine}))
    lucky = drop > limit and not ctx.beyond_luck(gained, mine, usual)
    return judged(
        drop <= limit or lucky,
        f"{what} ({names}) broke {gained.sum()} images that no white-box attack broke "
        f"({100 * drop:.1f} points at most{LUCK if lucky else ''})",
        ctx.ids(gained),
        gained=float(gained.sum()),
        drop=drop,
    )


def _by_queries(outcome: AttackOutcome) -> bool:
    """Whether an attack asked this very model for predictions, and took no gradient of any."""
    blind = outcome.knowledge == "none" and outcome.surrogate is None
    return blind and outcome.queries > 0 and not outcome.gradients


def _random_search(outcome: AttackOutcome) -> bool:
    return outcome.attack in ("random_search", RandomSearch.__name__)


def _elsewhere(outcome: AttackOutcome) -> bool:
    """Whether its examples were made on another model."""
    if (outcome.surrogate or "").startswith(("transfer", "frozen")):
        return True
    return outcome.knowledge in ("base", "none") and not _by_queries(outcome)


def _of_kind(ctx: Context, kind: Callable[[AttackOutcome], bool]) -> list[AttackOutcome]:
    """Finished attacks of a kind on the defended model, within the budget, whoever asked."""
    return [o for o in ctx.outcomes(scored_on="defended") if o.eps <= ctx.eps and kind(o)]


def black_box(ctx: Context) -> Finding:
    """C10: attacks that see no gradient find nothing that gradients did not."""
    found = _gain(ctx, _of_kind(ctx, _by_queries), ctx.thresholds.black_box, _QUERIES)
    if not ctx.done(_black_box_trials(ctx)) and found.status != "fail":
        return not_run(f"no {_QUERIES} finished of those that are needed")
    return found


def _random_trials(ctx: Context) -> list[PlannedTrial]:
    options = {"first": min(ctx.options.n_random, ctx.n), "settings": {"max_iter": RANDOM_DRAWS}}
    return [ctx.trial("C11", "random_search", blind_source(ctx.classifier), **options)]


def random_search(ctx: Context) -> Finding:
    """C11: blind guessing finds nothing that the attacks missed."""
    needed = ctx.done(_random_trials(ctx))
    if needed and len(needed[0].correct) < min(ctx.options.n_random, ctx.n):
        return not_run(f"random search on {len(needed[0].correct)} images alone")
    finding = _gain(ctx, _of_kind(ctx, _random_search), 0.0, "random search")
    if not needed and finding.status != "fail":
        return not_run("no random search finished of those that are needed")
    return finding


def _transfer_trials(ctx: Context) -> list[PlannedTrial]:
    bases = [s for s in ctx.sources if s.name == "base"]
    sources = *bases, ctx.reference, ctx.frozen, relaxed_source(ctx.classifier)
    return [ctx.trial("C12", "pgd", source) for source in sources if source is not None]


def transfers_add_nothing(ctx: Context) -> Finding:
    """C12: examples made elsewhere find nothing that ours did not."""
    mine = _of_kind(ctx, _elsewhere)
    finding = _gain(ctx, mine, ctx.thresholds.transfer, "transferred examples")
    why = no_reference(ctx)
    return not_run(why) if why and finding.status != "fail" else finding


def _loss_trials(ctx: Context) -> list[PlannedTrial]:
    margin = "sign_adam" if ctx.norm == "inf" else "apgd_dlr"
    trials = [ctx.trial("C13", name, s) for s in ctx.white_box for name in ("pgd", margin)]
    return trials + [ctx.trial("C13", "pgd", s, targeted=True) for s in ctx.white_box]


def _loss_of(outcome: AttackOutcome) -> str:
    return ATTACKS[outcome.attack].loss if outcome.attack in ATTACKS else ""


def diverse_losses(ctx: Context) -> Finding:
    """C13: cross-entropy, a margin, and a target were attacked with; the worst counts."""
    outcomes = ctx.white_outcomes(eps=ctx.eps)
    kinds = {
        loss: [o for o in outcomes if not o.targeted and _loss_of(o) == loss]
        for loss in ("cross-entropy", "margin")
    }
    kinds["targeted"] = [o for o in outcomes if o.targeted]
    missing = [name for name, found in kinds.items() if not found]
    if missing:
        lost = ctx.unfinished(asked_by="C13")
        why = f": {lost[0].status}: {lost[0].reason}" if lost else ""
        return not_run(f"no {' and no '.join(missing)} attack finished{why}")
    left = {name: ctx.left(found) for name, found in kinds.items()}
    worst = ctx.left(outcomes)
    shares = ", ".join(f"{share:.1%} {name}" for name, share in left.items())
    return passed(f"accuracy left: {shares}; together {worst:.1%}", **left, together=worst)


CHECKS = (
    Check(
        "C5", "Several surrogates", "standard",
        "attack through identity and what the defence names: soft assignment at two temperatures "
        "and a smoothed step for codewords, models of itself for others; attacks='binarised' where "
        "the network is binarised",
        surrogate_spread, _surrogate_trials,
    ),
    Check(
        "C10", "Queries find nothing new", "standard",
        "the white-box attack is too weak: the examples listed have no gradient that leads to "
        "them; attack longer, or through another surrogate or loss",
        black_box, _black_box_trials,
    ),
    Check(
        "C11", "Random search finds nothing new", "full",
        "the white-box attack is too weak: guessing beats it on the examples listed",
        random_search, _random_trials,
    ),
    Check(
        "C12", "Transfers find nothing new", "standard",
        "gradients are masked: examples made elsewhere beat those made here; add the transfer to "
        "the attacks and mend the surrogate",
        transfers_add_nothing, _transfer_trials, no_reference,
    ),
    Check(
        "C13", "Several losses", "standard",
        "attack with cross-entropy, with a margin or DLR loss, and targeted",
        diverse_losses, _loss_trials,
    ),
)  # fmt: skip
