"""One image as a programme for OR-tools' CP-SAT: is there a code image on which the label loses?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from art_disc.certificates.solver.rows import Layer, Reached, Rows
from art_disc.core.checks import IntArray
from art_disc.core.errors import CertificateError, MissingExtraError


def cp_model() -> Any:
    """Return OR-tools' module of CP-SAT.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from ortools.sat.python import cp_model as module
    except ImportError as error:
        msg = "method='solver' needs the extra verify: pip install 'art-disc[verify]'"
        raise MissingExtraError(msg) from error
    return module


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Code images that are looked at, in levels.

    Attributes:
        base: The levels of all inputs (inputs,), free units at their first choice.
        places: Of each free unit, the inputs that its values go to, (free, d).
        levels: Of each free unit, those of its choices (k, d), k > 1.
    """

    base: IntArray
    places: IntArray
    levels: Sequence[IntArray]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a solver says: `codes` (free units,) on which the label loses, none, or not known."""

    known: bool
    codes: IntArray | None = None


class _Values:
    """Values that a layer takes: whole numbers, and what variables add to them."""

    def __init__(self, base: IntArray, variables: Sequence[Any], parts: csr_matrix) -> None:
        self.base, self.variables, self.parts = base, variables, parts

    def sums(self, matrix: csr_matrix) -> "_Values":
        """Return sums of the values, by the rows of a matrix."""
        return _Values(matrix @ self.base, self.variables, csr_matrix(matrix @ self.parts))

    def expression(self, row: int) -> tuple[list[Any], list[int]]:
        """Return the variables and their factors of one value, without its constant."""
        span = slice(self.parts.indptr[row], self.parts.indptr[row + 1])
        chosen = [self.variables[place] for place in self.parts.indices[span]]
        return chosen, self.parts.data[span].tolist()


class Programme:
    """The code images of one image, and the network on them.

    Args:
        rows: The network.
        label: What the image should be classified as.
        codes: The code images.
        reached: What bounds say that the sums of each layer reach, one row each.
        rivals: Classes that bounds leave.
    """

    def __init__(
        self,
        rows: Rows,
        label: int,
        codes: Choices,
        reached: Sequence[Reached],
        rivals: Sequence[int],
    ) -> None:
        self.solver = cp_model()
        self.model = self.solver.CpModel()
        values = self._inputs(codes)
        for layer, found in zip(rows.hidden, reached, strict=True):
            values = self._signs(layer, values.sums(layer.matrix), found)
        self._wrong(rows, label, values, rivals)

    def _inputs(self, codes: Choices) -> _Values:
        """Add a variable for each choice of a unit but the first."""
        self.chosen: list[list[Any]] = []
        entries: list[tuple[int, int, int]] = []
        variables: list[Any] = []
        for place, levels in zip(codes.places, codes.levels, strict=True):
            own = [self.model.new_bool_var("") for _ in levels[1:]]
            if len(own) > 1:
                self.model.add_at_most_one(own)
            for variable, steps in zip(own, levels[1:] - levels[0], strict=True):
                column = len(variables)
                entries += [(p, column, v) for p, v in zip(place, steps, strict=True)]
                variables.append(variable)
            self.chosen.append(own)
        return _Values(codes.base, variables, _matrix(entries, len(codes.base), len(variables)))

    def _signs(self, layer: Layer, sums: _Values, found: Reached) -> _Values:
        """Add the signs of a layer that bounds leave open."""
        open_sums = np.flatnonzero(found.maybe[0] & ~found.always[0])
        literals = {u: self._literal(sums, u, layer.thresholds[u]) for u in open_sums.tolist()}
        entries: list[tuple[int, int, int]] = []
        variables: list[Any] = []
        sure = layer.among(found.always)[0]
        base = np.where(sure, layer.turns, -layer.turns)
        for output in np.flatnonzero(layer.among(found.maybe)[0] & ~sure).tolist():
            members = [literals[u] for u in layer.windows[output].tolist() if u in literals]
            entries.append((output, len(variables), int(2 * layer.turns[output])))
            variables.append(self._any(members))
        return _Values(base, variables, _matrix(entries, len(base), len(variables)))

    def _literal(self, sums: _Values, unit: int, threshold: int) -> Any:
        """Return a variable that is true where a sum reaches its threshold, and only there."""
        literal = self.model.new_bool_var("")
        total = self.solver.LinearExpr.weighted_sum(*sums.expression(unit))
        least = int(threshold) - int(sums.base[unit])
        self.model.add(total >= least).only_enforce_if(literal)
        self.model.add(total <= least - 1).only_enforce_if(~literal)
        return literal

    def _any(self, members: Sequence[Any]) -> Any:
        """Return a variable that is true where one of the members is, and only there."""
        if len(members) == 1:
            return members[0]
        either = self.model.new_bool_var("")
        self.model.add_bool_or(members).only_enforce_if(either)
        for member in members:
            self.model.add_implication(member, either)
        return either

    def _wrong(self, rows: Rows, label: int, values: _Values, rivals: Sequence[int]) -> None:
        """Let one rival win."""
        factors, ahead = rows.margins(label)
        margins = values.sums(csr_matrix(factors))
        wins = []
        for rival in rivals:
            won = self.model.new_bool_var("")
            total = self.solver.LinearExpr.weighted_sum(*margins.expression(rival))
            self.model.add(total <= int(ahead[rival] - margins.base[rival]) - 1).only_enforce_if(
                won
            )
            wins.append(won)
        self.model.add_bool_or(wins)

    def solve(self, seconds: float) -> Answer:
        """Look for a code image on which the label loses, for so long.

        Raises:
            CertificateError: The solver does not take the programme.
        """
        if seconds <= 0:
            return Answer(known=False)
        solver = self.solver.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = 0
        solver.parameters.max_time_in_seconds = seconds
        # clauses and sums alone: relaxations of signs are loose, and cost more than they cut
        solver.parameters.linearization_level = 0
        # Ctrl-C is the caller's, and no answer
        solver.parameters.catch_sigint_signal = False
        status = solver.solve(self.model)
        if status == self.solver.INFEASIBLE:
            return Answer(known=True)
        if status in (self.solver.OPTIMAL, self.solver.FEASIBLE):
            codes = [
                1 + next((i for i, v in enumerate(own) if solver.boolean_value(v)), -1)
                for own in self.chosen
            ]
            return Answer(known=True, codes=np.array(codes, dtype=np.int64))
        if status != self.solver.UNKNOWN:
            msg = f"CP-SAT does not take the programme: {self.model.validate()}"
            raise CertificateError(msg)
        return Answer(known=False)


def _matrix(entries: Sequence[tuple[int, int, int]], rows: int, columns: int) -> csr_matrix:
    row, column, value = np.array(entries, dtype=np.int64).reshape(-1, 3).T
    return csr_matrix((value, (row, column)), shape=(rows, columns), dtype=np.int64)
