"""Work shared among threads."""

import threading

import pytest

from art_disc.core.threads import in_threads


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("pieces", [0, 1, 2, 40])
def test_every_piece_is_done_once(count, pieces):
    done = []
    in_threads(done.append, range(pieces), count)
    assert sorted(done) == list(range(pieces))


def test_pieces_are_done_at_the_same_time():
    # each waits for the other two
    together = threading.Barrier(3, timeout=60)
    in_threads(lambda piece: together.wait(), range(3), 3)
    assert not together.broken


def test_one_thread_is_the_callers():
    seen = set()
    in_threads(lambda piece: seen.add(threading.get_ident()), range(5), 1)
    assert seen == {threading.get_ident()}


@pytest.mark.parametrize("bad", range(4))
def test_what_a_piece_raises_is_raised(bad):
    def work(piece):
        if piece == bad:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_threads(work, range(4), 2)
