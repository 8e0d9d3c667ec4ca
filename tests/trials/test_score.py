"""Scores are of fresh predictions, the same for the clean image and for what became of it."""

import numpy as np
import pytest
import torch

import art_disc as ad
from art_disc.trials import Scorer


@pytest.fixture(scope="module")
def noisy(digits, digits_net):
    noise = ad.GaussianNoise(0.35)
    return ad.build_classifier(digits_net, data=digits, defences=[noise], vote_samples=3)


def test_a_model_is_scored_by_as_many_draws_as_it_votes_over(digits, noisy):
    classifier = noisy.with_samples(vote=45)
    x, y = digits.x_test[:20], digits.y_test[:20]
    found = Scorer(classifier, x, y, draws=20, seed=3).clean
    assert found.draws == 45
    votes = classifier.voting.count(torch.from_numpy(classifier.predict_draws(x, 45, seed=3)))
    assert np.array_equal(found.correct, votes.argmax(dim=1).numpy() == y)
    # of more draws the first ones make the vote, and all of them are counted
    x, y = digits.x_test[:100], digits.y_test[:100]
    alone = noisy.with_samples(vote=1)
    few = Scorer(alone, x, y, draws=20, seed=3).clean
    draws = alone.predict_draws(x, 20, seed=3).argmax(axis=2) == y
    assert few.draws == 20
    assert np.array_equal(few.correct, draws[0])
    assert few.draw_correct == tuple(draws.sum(axis=0))
    assert not np.array_equal(draws[0], draws.mean(axis=0) > 0.5)


def test_what_changes_nothing_changes_no_score(noisy, digits):
    x, y = digits.x_test[:30], digits.y_test[:30]
    scorer = Scorer(noisy, x, y, draws=5, seed=3)
    assert scorer.clean.draws == 5
    noisy.predict(x)
    assert scorer.score(x).draw_correct == scorer.clean.draw_correct
    # a part of the images meets the draws that it would meet among all
    assert scorer.score(x[:7]).draw_correct == scorer.clean.draw_correct[:7]
    assert np.array_equal(scorer.score(x[:7]).correct, scorer.clean.correct[:7])
    assert Scorer(noisy, x, y, draws=5, seed=4).clean.draw_correct != scorer.clean.draw_correct
