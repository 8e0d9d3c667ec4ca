"""Laws of every record, of each kind and of all committed results: sound ones alone pass."""

import copy
import json
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from art_disc.core.errors import FileFormatError, InputError
from art_disc.core.files import write_json
from art_disc.core.records import RECORDS, Record, Share, load_record, record_class, register
from tests.core.record_examples import CERTIFICATE, COMMITTED, EVALUATION
from tests.core.record_examples import RECORDS as MADE

# contents are the caller's: their types are free, or free within a word of settings
FREE = {"codebook", "plan", "results"}
MAPPINGS = {
    "settings", "dataset", "network", "networks", "reference", "packages", "numbers", "machine",
    "left_out", "voting", "size_quantiles", "clean_right", "right", "draw_right", "defences",
}  # fmt: skip
EACH = {
    "labels", "example_ids", "base_correct", "defended_correct", "verdicts", "reasons", "votes",
    "lowest", "divergence", "gap", "free_pixels", "log2_images", "evaluated", "correct",
    "perturbation", "grid_correct", "draw_correct", "positions", "cosines", "zeros", "draws",
    "own_correct", "right", "draw_right", "distances", "within", "clean_right", "mean_correct",
    "vote_correct", "clean_correct", "submissions", "broken", "errors", "alive",
}  # fmt: skip
# of these none at all is sound too, or says that all examples were attacked
OPTIONAL = {"base_correct", "grid_correct", "draw_correct", "draw_right", "positions"}
WORDS = {"status", "knowledge", "norm", "scored_on", "tier", "checks_tier", "loss", "setting"}
ALL = [*MADE, *map(load_record, COMMITTED)]
BODIES = [json.loads(json.dumps(record.to_dict())) for record in ALL]
ids = [record.kind for record in ALL]


def parts(value, path=()):
    """Every value within a body, with the keys and places that lead to it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inner:
        yield (*path, key), part
        if isinstance(part, dict | list):
            yield from parts(part, (*path, key))


def field_of(path):
    """The innermost field of a record on a path."""
    found = ""
    for key in path:
        if isinstance(key, str):
            found = key
        if key in FREE | MAPPINGS:
            break
    return found


def changed(body, path, value):
    body = copy.deepcopy(body)
    owner = body
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = value
    return body


PARTS = [
    [(p, v) for p, v in parts(body) if p[0] not in ("kind", "schema_version")] for body in BODIES
]


def free(path):
    """Whether a value is within contents whose types are the caller's."""
    return bool(FREE & set(path[:-1]))


def broken(kind, path, value):
    """Values by which one is broken: NaN, another type, an unknown word, another length."""
    if type(value) is float:
        yield from (float("nan"), float("inf"))
    if free(path):
        return
    # a setting may be of any plain type, but no list
    plain = not MAPPINGS & set(path)
    yield 5 if isinstance(value, list) else [{"a": 3}]
    if plain and value is not None and not isinstance(value, str | list):
        yield "abc"
    # a zoo's own tier is the caller's word
    if plain and path[-1] in WORDS and (kind, path) != ("zoo", ("tier",)):
        yield "banana"
    # a check's examples are those that offend, however many
    if path[-1] in EACH and isinstance(value, list | str) and value and "checks" not in path:
        yield from (value[:-1], [*value, value[-1]] if isinstance(value, list) else f"{value}1")
        if path[-1] not in OPTIONAL:
            yield value[:0]


def value_at(body, path):
    for key in path:
        body = body[key]
    return body


def read(body):
    return record_class(body["kind"]).from_dict(body, where="r.json")


def refused(body, path):
    try:
        read(body)
    except FileFormatError as error:
        assert str(error).startswith("r.json is a damaged ")  # noqa: PT017
        assert field_of(path) in str(error)  # noqa: PT017
    else:
        pytest.fail(f"taken: {path} as {value_at(body, path)!r}")


@st.composite
def places(draw):
    """A committed record by its number, and one of its parts by its own."""
    number = draw(st.integers(len(MADE), len(ALL) - 1))
    # a field first: of thousands of labels a few will do
    by_field = {}
    for i, (path, _) in enumerate(PARTS[number]):
        by_field.setdefault((field_of(path), len(path)), []).append(i)
    chosen = draw(st.sampled_from(sorted(by_field)))
    return number, draw(st.sampled_from(by_field[chosen]))


def test_every_kind_has_an_example_and_every_committed_file_is_a_record():
    assert {record.kind for record in MADE} == set(RECORDS)
    assert len(COMMITTED) > 20
    assert all(record_class(record.kind) is type(record) for record in ALL)


@pytest.mark.parametrize("record", ALL, ids=ids)
def test_what_is_written_is_what_is_read(tmp_path, record):
    path = record.save(tmp_path / "r.json")
    assert load_record(path) == record
    before = path.read_bytes()
    assert load_record(path).save(path).read_bytes() == before


@pytest.mark.parametrize("number", range(len(MADE)), ids=ids[: len(MADE)])
def test_whatever_is_broken_in_an_example_is_refused_by_name(number):
    body = BODIES[number]
    for path, value in PARTS[number]:
        for bad in broken(body["kind"], path, value):
            refused(changed(body, path, bad), path)


@given(places())
def test_whatever_is_broken_in_a_committed_result_is_refused_by_name(place):
    body, (path, value) = BODIES[place[0]], PARTS[place[0]][place[1]]
    for bad in broken(body["kind"], path, value):
        refused(changed(body, path, bad), path)


@pytest.mark.parametrize("number", range(len(ALL)), ids=ids)
def test_a_missing_and_an_unknown_field_are_refused_by_name(number):
    body = BODIES[number]
    objects = [(p, v) for p, v in PARTS[number] if isinstance(v, dict)]
    objects = [(p, v) for p, v in objects if not (FREE | MAPPINGS) & set(p)]
    for path, value in objects[:20]:
        with pytest.raises(FileFormatError, match="surplus"):
            read(changed(body, path, {**value, "surplus": 1}))
    needed = [f.name for f in fields(ALL[number]) if f.default is f.default_factory is MISSING]
    for name in needed:
        with pytest.raises(FileFormatError, match=name):
            read({k: v for k, v in body.items() if k != name})


@given(places(), st.data())
def test_what_is_changed_is_refused_or_survives(place, data):
    body, (path, value) = BODIES[place[0]], PARTS[place[0]][place[1]]
    kinds = {
        str: st.text(max_size=9), bool: st.booleans(), int: st.integers(-(2**40), 2**40),
        float: st.floats(allow_nan=False, allow_infinity=False),
    }  # fmt: skip
    new = changed(body, path, data.draw(kinds.get(type(value), st.none())))
    try:
        record = read(new)
    except FileFormatError as error:
        assert field_of(path) in str(error)  # noqa: PT017
        return
    assert read(json.loads(json.dumps(record.to_dict(), allow_nan=False))) == record


@pytest.mark.parametrize(
    ("kind", "path", "value", "words"),
    [
        ("evaluation", "clip_values", [1, 0], "clip_values must rise"),
        ("evaluation", "outcomes.1.positions", [2, 0], "positions must rise"),
        ("evaluation", "outcomes.1.positions", [0, 3], "positions must be at most 2, by labels"),
        ("evaluation", "outcomes.0.draws", 3, "draw_correct must be at most 3, by draws, got 4"),
        ("evaluation", "outcomes.0.by_step", [3, 4], "by_step must be at most 3"),
        ("evaluation", "outcomes.0.status", "skipped", "correct must have 0 entries, as it was"),
        ("evaluation", "reference_correct", [True], "reference_correct must have 3 entries"),
        ("evaluation", "certificates.0.verdicts.0", "proved", "verdicts"),
        ("certified curve", "points.0.certified", 3, "certified must be at most 2, by total"),
        ("certified curve", "attacked.0.total", 1, r"attacked\[0\].total must be 2"),
        ("certified curve", "attacked.0.right", 3, "right must be at most 2, by total"),
        ("certified curve", "attacked.0.contradicted", 3, "contradicted must be at most 2"),
        ("certified curve", "clean", 3, "clean must be at most 2, by total"),
        ("scored draws", "draws", 2, "right must be at most 2, by draws, got 3"),
        ("persistent attacker", "submissions", [1, 3, 2], "submissions must rise"),
        ("persistent attacker", "draws", 2, "submissions must be at most 2, by draws, got 3"),
        ("gradient agreement", "zeros", [5, 0], "zeros must be at most 4"),
        ("gradient agreement", "cosines.1", [0.5], r"cosines\[1\] must be 2"),
        ("eot convergence", "fresh", 2, "draw_correct must be at most 2"),
        ("transfer", "draws", 2, "draw_right must be at most 2"),
        ("supplied images", "sets.0.example_ids", [4, 1], "example_ids must rise"),
        ("supplied images", "sets.0.within", [True], "within must have 2 entries"),
        ("supplied images", "sets.0.right.noise", [True], "right.'noise'. must be 2"),
        ("supplied images", "defences", {"none": []}, r"sets\[0\].clean_right"),
        ("sweep", "planned", 1, "number of cells must be at most 1, by planned, got 2"),
        ("table", "planned", 0, "number of rows must be at most 0"),
        ("table", "rows.0.alive", "012", "alive must be made of 0 and 1, got '2'"),
        ("table", "rows.0.white_box.count", 4, "count must be at most 3, by total"),
        ("table", "rows.0.papers_attack.total", 2, "papers_attack.total must be 3"),
        ("certificate table", "rows.0.unable_float", 101, "unable_float must be at most 100"),
        ("certificate table", "rows.0.unable_exact", 101, "unable_exact must be at most 100"),
        ("zoo", "cells.0.clean", 3, "clean must be at most 2, by total"),
        ("zoo", "cells.0.attacked", 3, "attacked must be at most 2, by total"),
        ("zoo", "cells.0.zero_gradients", 5, "zero_gradients must be at most 4, by seen_gradients"),
        ("zoo", "cells.0.defence", "jpeg", r"cells\[0\].defence must be one of none, noise"),
        ("hardness", "budgets.0.separability.eps", 0.2, "separability.eps must be 0.1"),
    ],
)
def test_numbers_that_do_not_fit_each_other_are_refused(kind, path, value, words):
    body = next(body for body in BODIES if body["kind"] == kind)
    steps = tuple(int(step) if step.isdigit() else step for step in path.split("."))
    with pytest.raises(FileFormatError, match=words):
        read(changed(body, steps, value))


def test_what_is_refused_when_read_is_refused_when_made():
    for record in MADE:
        for name in (field.name for field in fields(record)):
            with pytest.raises(InputError, match=name):
                replace(record, **{name: object()})
    with pytest.raises(InputError, match=r"outcomes\[0\]\.correct must have 2 entries, as labels"):
        replace(
            EVALUATION,
            certificates=(),
            **{
                n: getattr(EVALUATION, n)[:2]
                for n in ("labels", "example_ids", "base_correct", "defended_correct")
            },
        )
    with pytest.raises(InputError, match=r"verdicts\[1\] must be one of .*, got 'banana'"):
        replace(CERTIFICATE, verdicts=("certified", "banana", "undecided"))


def test_the_messages_say_what_was_expected_and_what_is_there(tmp_path):
    body = EVALUATION.to_dict()
    for changes, words in (
        ({"seed": "abc"}, "seed: Expected `int`, got `str`"),
        ({"eps": [0.1, -1]}, r"eps\[1\]: Expected `float` >= 0.0, got -1"),
        ({"eps": [0.2, 0.1]}, "eps must rise, got 0.1 after 0.2 at 1"),
        ({"norm": "banana"}, "norm must be one of inf, 2, got 'banana'"),
        ({"labels": [0, 1]}, "example_ids must have 2 entries, as labels, got 3"),
        ({"clip_values": [0, float("inf")]}, "a finite `float`, got inf"),
        ({"codebook": {"a": [float("nan")]}}, r"codebook.a\[0\] must be .*finite.*, got nan"),
    ):
        (tmp_path / "r.json").write_text(json.dumps({**body, **changes}))
        with pytest.raises(FileFormatError, match=rf"r\.json is a damaged evaluation .*{words}"):
            load_record(tmp_path / "r.json")


def test_a_kind_of_ones_own_is_registered_by_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("art_disc.core.records.registry.RECORDS", dict(RECORDS))

    @register
    @dataclass(frozen=True, slots=True)
    class Toy(Record, kind="toy"):
        length: float

    path = Toy(2).save(tmp_path / "toy.json")
    assert load_record(path) == Toy(2.0)
    write_json(path, json.loads(path.read_text()) | {"length": "long"})
    with pytest.raises(FileFormatError, match="length: Expected `float`, got `str`"):
        load_record(path)
    with pytest.raises(InputError, match="kind 'evaluation' is taken"):
        register(type("Other", (Record,), {"kind": "evaluation"}))


def test_no_part_of_a_record_goes_unchecked():
    seen = set()

    def visit(value):
        if is_dataclass(value):
            seen.add(type(value))
            assert hasattr(type(value), "check"), type(value)
            for field in fields(value):
                visit(getattr(value, field.name))
        elif isinstance(value, tuple):
            for part in value:
                visit(part)

    for record in ALL:
        visit(record)
    assert len(seen) >= 30


def test_lists_and_scalars_of_numpy_become_what_is_read_back(tmp_path):
    made = replace(
        EVALUATION, seed=np.int64(3), eps=[0.1, 0.2], clip_values=[0, 1], labels=[0, 1, 2]
    )
    assert made == EVALUATION
    assert type(made.seed) is int
    assert type(made.clip_values[0]) is float
    assert load_record(made.save(tmp_path / "r.json")) == made
    assert Share.of(np.array([True, False])) == Share.of((True, False)) == Share(1, 2)


def test_a_part_of_the_examples_on_which_an_attack_failed_is_sound(tmp_path):
    failed = replace(EVALUATION.outcomes[2], positions=(0, 1))
    record = replace(EVALUATION, outcomes=(failed,))
    assert failed.status == "failed"
    assert load_record(record.save(tmp_path / "r.json")) == record
