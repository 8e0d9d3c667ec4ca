import json

import numpy as np
import pytest
import torch
from torch import nn

from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError
from art_disc.networks import DigitsNet, load_weights, save_weights, weights_hash


def net(seed=0, features=3):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = nn.Sequential(
            nn.Linear(4, features), nn.BatchNorm1d(features), nn.Linear(features, 2)
        )
    # a buffer with a value of its own
    made[1].running_mean += seed
    return made.eval()


X = torch.linspace(-1, 1, 12).reshape(3, 4)


def to_npz(model, folder):
    return save_weights(model, folder / "w.npz", header={"epochs": 3})


def to_plain_npz(model, folder):
    np.savez(folder / "p.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
    return folder / "p.npz"


def to_pt(model, folder):
    torch.save(model.state_dict(), folder / "w.pt")
    return folder / "w.pt"


def to_pth(model, folder):
    return to_pt(model, folder).rename(folder / "w.pth")


@pytest.mark.parametrize("save", [to_npz, to_plain_npz, to_pt, to_pth])
def test_weights_come_back_whole(save, tmp_path):
    path = save(net(1), tmp_path)
    model = net(2)
    assert not torch.allclose(model(X), net(1)(X))
    header = load_weights(model, str(path))
    assert torch.equal(model(X), net(1)(X))
    assert weights_hash(model) == weights_hash(net(1))
    assert header.get("epochs") == (3 if save is to_npz else None)


@pytest.mark.parametrize("save", [to_npz, to_pt])
@pytest.mark.parametrize("other", [net(1, features=4), nn.Linear(4, 2), DigitsNet()])
def test_another_architecture_is_refused_and_the_model_stays(save, other, tmp_path):
    path = save(other, tmp_path)
    model = net(2)
    before = weights_hash(model)
    with pytest.raises(InputError, match="another architecture than Sequential"):
        load_weights(model, path)
    assert weights_hash(model) == before


@pytest.mark.parametrize("suffix", ["npz", "pth"])
def test_files_without_batch_counters_fit(suffix, tmp_path):
    """As PyTorch wrote them before it counted batches."""
    state = {k: v for k, v in net(1).state_dict().items() if "num_batches" not in k}
    assert len(state) == len(net(1).state_dict()) - 1
    path = tmp_path / f"w.{suffix}"
    if suffix == "npz":
        np.savez(path, **{k: v.numpy() for k, v in state.items()})
    else:
        torch.save(state, path)
    model = net(2)
    load_weights(model, path)
    assert torch.equal(model(X), net(1)(X))


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def whole_model(path):
    torch.save(net(1), path)


def bomb(path):
    torch.save({"0.weight": Bomb()}, path)


def numbers(path):
    torch.save({"0.weight": 3}, path)


def one_tensor(path):
    torch.save(torch.zeros(3), path)


def noise(path):
    path.write_bytes(b"noise" * 50)


def cut(path):
    torch.save(net(1).state_dict(), path)
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize("make", [whole_model, bomb, numbers, one_tensor, noise, cut])
@pytest.mark.parametrize("suffix", ["pt", "npz"])
def test_what_is_no_state_dict_is_refused_unread(make, suffix, tmp_path):
    path = tmp_path / f"w.{suffix}"
    make(path)
    model = net(2)
    before = weights_hash(model)
    with pytest.raises((FileFormatError, InputError), match=rf"w\.{suffix}"):
        load_weights(model, path)
    assert weights_hash(model) == before
    if suffix == "pt":
        with pytest.raises(FileFormatError):
            load_weights(model, path)


@pytest.mark.parametrize("suffix", ["pt", "npz"])
def test_a_missing_file_is_named(suffix, tmp_path):
    with pytest.raises(DataNotFoundError, match="no such weight file"):
        load_weights(net(), tmp_path / f"absent.{suffix}")


def test_a_damaged_header_is_named(tmp_path):
    path = to_npz(net(1), tmp_path)
    with np.load(path) as arrays:
        content = dict(arrays)
    content["art_disc_header"] = np.array("no json")
    np.savez(path, **content)
    with pytest.raises(FileFormatError, match=r"w\.npz"):
        load_weights(net(2), path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    arrays = {k: v.numpy() for k, v in net(1).state_dict().items()}
    arrays["0.bias"] = np.array(["a", "b", "c"])
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(FileFormatError, match=r"w\.npz"):
        load_weights(net(2), tmp_path / "w.npz")


def test_the_header_is_json_beside_plain_arrays(tmp_path):
    with np.load(to_npz(net(1), tmp_path), allow_pickle=False) as arrays:
        header = json.loads(str(arrays["art_disc_header"]))
        assert len(header.pop("sha256")) == 64
        assert header == {"format": "art_disc weights", "version": 2, "epochs": 3}
        assert set(arrays.files) == {"art_disc_header", *net(1).state_dict()}


def test_the_hash_sees_every_weight_and_name():
    base = weights_hash(net(0))
    assert base == weights_hash(net(0))
    for key in net(0).state_dict():
        model = net(0)
        state = model.state_dict()
        state[key] = state[key] + 1
        model.load_state_dict(state)
        assert weights_hash(model) != base
    renamed = nn.ModuleDict({"a": net(0)})
    assert weights_hash(renamed) != base
