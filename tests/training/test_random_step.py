"""R-FGSM against a linear network, whose gradient is known."""

import pytest
import torch
from torch import nn

from art_disc.core.errors import InputError
from art_disc.training import Adversarial, Adversary, CodeAdversary, RandomStepFGSM
from art_disc.training.adversary import perturbed


class Bend(nn.Module):
    """Two logits whose cross-entropy grows with the distance of each pixel from a half."""

    def forward(self, x):
        far = (x - 0.5).square().flatten(1).sum(dim=1)
        return torch.stack([-far, far], dim=1)


@pytest.mark.parametrize(("printed", "reach"), [(False, 0.2), (True, 0.3)])
def test_the_second_step_goes_along_the_gradient_at_the_shifted_point(printed, reach):
    x, y = torch.full((4, 1, 8, 8), 0.5), torch.zeros(4, dtype=torch.int64)
    adversary = RandomStepFGSM(0.2, printed=printed)
    moved = perturbed(Bend(), x, y, adversary, torch.Generator().manual_seed(0))
    # at x itself the gradient is 0: only the shifted point has one, and it leads further away
    assert torch.allclose((moved - x).abs(), torch.full_like(x, reach), atol=1e-6)
    ups = (moved > x).float().mean()
    assert 0.3 < ups < 0.7
    again = perturbed(Bend(), x, y, adversary, torch.Generator().manual_seed(0))
    assert torch.equal(moved, again)


def test_images_stay_images_and_the_budget_keeping_form_stays_in_its_budget(digits):
    x, y = torch.tensor(digits.x_train[:50]), torch.tensor(digits.y_train[:50])
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for printed, most in ((False, 0.3), (True, 0.45)):
        adversary = RandomStepFGSM(0.3, printed=printed)
        moved = perturbed(network, x, y, adversary, torch.Generator().manual_seed(1))
        assert moved.min() >= 0
        assert moved.max() <= 1
        assert most - 0.01 < (moved - x).abs().max() <= most + 1e-6


def test_both_forms_say_which_they_are():
    ours, theirs = RandomStepFGSM(0.3), RandomStepFGSM(0.3, printed=True)
    assert ours.facts() != theirs.facts()
    assert Adversarial(ours).describe() == "adversarial (R-FGSM, eps 0.3)"
    assert "up to 1.5 eps" in theirs.describe()
    with pytest.raises(InputError, match="eps"):
        RandomStepFGSM(0.0)
    assert ours.at(0.5) == ours
    assert (ours.look().eps, ours.look().steps) == (0.3, 20)


def test_a_training_minimises_the_loss_of_the_moved_images_and_keeps_the_networks_mode(digits):
    x, y = torch.tensor(digits.x_train[:50]), torch.tensor(digits.y_train[:50])
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.0), nn.Linear(64, 10)).train()
    adversary = RandomStepFGSM(0.3)
    moved = perturbed(network, x, y, adversary, torch.Generator().manual_seed(2))
    assert network.training
    assert all(p.grad is None for p in network.parameters())
    drawn = torch.Generator().manual_seed(2)
    loss = Adversarial(adversary)(network, x, y, progress=0.5, generator=drawn)
    assert torch.isclose(loss, nn.functional.cross_entropy(network(moved), y))
    assert loss > nn.functional.cross_entropy(network(x), y)


def test_an_adversary_is_scaled_in_budget_and_steps():
    pgd = Adversary(0.2, steps=4)
    half = pgd.scaled(0.5)
    assert (half.eps, half.step_length) == (pytest.approx(0.1), pytest.approx(pgd.step_length / 2))
    assert RandomStepFGSM(0.2, printed=True).scaled(0.5) == RandomStepFGSM(0.1, printed=True)
    assert CodeAdversary(0.2, steps=5).scaled(0.5) == CodeAdversary(0.1, steps=5)
    assert pgd.scaled(1.0) == pgd
