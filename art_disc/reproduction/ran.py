"""What the run of a published row gave: our numbers, and what is not as in the paper."""

from collections.abc import Sequence
from dataclasses import dataclass

from art_disc.core.errors import InputError
from art_disc.core.records import AttackOutcome, EvaluationRecord, Share
from art_disc.core.records.outcomes import WHITE_BOX
from art_disc.core.records.table import TableRow
from art_disc.defences import CodebookPreprocessor
from art_disc.reproduction.published import Published
from art_disc.reproduction.recipes import Stage
from art_disc.training import Trained


@dataclass(frozen=True)
class Ran:
    """A row that was run.

    Attributes:
        row: What was published.
        stage: Data and recipe.
        setting: The classifier that was attacked.
        record: Of its attacks, over all budgets.
        clean: Right on all test images.
        defence: Fitted; None for none.
    """

    row: Published
    stage: Stage
    setting: Trained
    record: EvaluationRecord
    clean: Share
    defence: CodebookPreprocessor | None

    def at(self, eps: float) -> TableRow:
        """Return the row of the table at one budget.

        Raises:
            InputError: The papers' attack did not finish there.
        """
        row, record, defence = self.row, self.record, self.defence
        papers = papers_outcome(record, eps, defended=defence is not None)
        done = record.select(scored_on="defended", eps=eps)
        white_box = record.survives(eps, knowledge=WHITE_BOX)
        as_printed = eps == row.eps
        return TableRow(
            dataset=row.dataset,
            setting=row.setting,
            defence=_defence_words(row, defence),
            n_codes=row.n_codes,
            eps=eps,
            printed_clean=row.clean,
            printed_robust=row.robust if as_printed else None,
            printed_steps=row.steps if as_printed else 0,
            clean=self.clean,
            papers_attack=papers.share,
            alive=_bits(record.survives(eps)),
            white_box=Share(sum(white_box), len(white_box)),
            correct=_bits(record.defended_correct),
            attack=_words(papers, papers.surrogate),
            worst_of="; ".join(
                dict.fromkeys(_words(o, o.surrogate or _from(o.knowledge)) for o in done)
            ),
            network=f"{self.stage.experiment.network_words}: {self.setting.training}",
            codes_found=0 if defence is None else len(defence.codebook.levels),
            differs=self.differences(papers),
            gradients=sum(o.gradients for o in done) / len(record.labels),
            queries=sum(o.queries for o in done) / len(record.labels),
            seconds=sum(o.seconds for o in done),
        )

    def differences(self, papers: AttackOutcome) -> tuple[str, ...]:
        """Return what is not as in the paper, one phrase each; `papers` is of their attack."""
        row, how, data = self.row, self.stage.experiment, self.stage.data
        theirs = {"max_iter": row.steps, "eps_step": how.eps_step}
        phrases = {
            f"attacked: first {len(self.record.labels)} of the {len(data.x_test)} test images "
            "here": True,
            f"{len(data.x_train)} training images, theirs {how.images}": (
                len(data.x_train) != how.images
            ),
            f"{how.network_words}; theirs: {how.published_network}": True,
            "retrained from the base network": row.training == "re",
            "k-medoids by our solver, theirs by MATLAB's": row.defence == "kmedoids",
            "training shortened by --train-steps": self.stage.steps is not None,
            **{
                f"the papers' attack was run with {name} {papers.settings[name]}": (
                    papers.settings[name] != value
                )
                for name, value in theirs.items()
            },
            "the step of their attack at this budget is not recorded; that of their code": (
                how.eps_step >= row.eps or row.dataset == "fashion_mnist"
            ),
        }
        return tuple(phrase for phrase, holds in phrases.items() if holds)


def papers_outcome(record: EvaluationRecord, eps: float, *, defended: bool) -> AttackOutcome:
    """Return the outcome of the papers' own attack: sign-Adam through their surrogate, or PGD.

    Their undefended networks met plain PGD with one random start, their defended ones Adam on
    gradient signs with a margin loss and no random start.

    Raises:
        InputError: It was not run.
    """
    for outcome in record.select(scored_on="defended", eps=eps):
        soft = outcome.surrogate is not None and outcome.surrogate.startswith("soft")
        if defended and outcome.attack == "sign_adam" and soft:
            return outcome
        if not defended and outcome.attack == "pgd":
            return outcome
    msg = f"the papers' attack did not finish at eps {eps:g}; run the row again"
    raise InputError(msg)


def _defence_words(row: Published, defence: CodebookPreprocessor | None) -> str:
    if defence is None:
        return ""
    found = len(defence.codebook.levels)
    short = "" if found == row.n_codes else f" ({found} found)"
    return f"{row.defence}, {row.n_codes} codes{short}"


def _from(knowledge: str) -> str:
    return {"base": "transfer from the base", "none": "no gradients"}.get(knowledge, "no surrogate")


def _words(outcome: AttackOutcome, through: str | None) -> str:
    numbers = [
        f"{key} {value:.4g}"
        for key, value in outcome.settings.items()
        if isinstance(value, int | float)
    ]
    return f"{outcome.attack} ({', '.join(numbers)}) {through or 'on the network itself'}"


def _bits(flags: Sequence[bool]) -> str:
    return "".join("1" if flag else "0" for flag in flags)
