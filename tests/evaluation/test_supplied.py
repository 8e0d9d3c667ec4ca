"""Supplied images: read back as they were exported, measured, refused where they are shifted."""

import numpy as np
import pytest
from PIL import Image

import art_disc as ad
from art_disc.core.errors import DataNotFoundError, FileFormatError, InputError, InputWarning
from art_disc.core.records.supplied import SuppliedRecord
from art_disc.evaluation import score_images
from art_disc.report.kinds.supplied import supplied_table

EPS = 16 / 255


@pytest.fixture(scope="module")
def exported(digits, defended, tmp_path_factory):
    """An evaluation of images that are not the first ones, with all that it writes."""
    out = tmp_path_factory.mktemp("exported")
    data = digits.subset(n_test=25, stratified=True, seed=3)
    result = ad.evaluate(
        defended, data, eps=EPS, attacks=["fgsm"], surrogates=("identity",), checks=None,
        export="png", out=out, verbose=False,
    )  # fmt: skip
    return data, result.record, out


def scored(classifier, images, data, **options):
    options = {"eps": EPS, "ids": data.test_ids} | options
    return score_images(classifier, images, data.x_test, data.y_test, **options)


def on_defended(record):
    return [row for row in record.outcomes if row.scored_on == "defended"]


def test_what_an_evaluation_exports_is_scored_as_the_evaluation_did(exported, defended):
    data, record, out = exported
    assert not np.array_equal(data.test_ids, np.arange(25))
    found = scored(defended, out, data)
    rows = on_defended(record)
    exact = [s for s in found.sets if not s.name.endswith("/")]
    rounded = [s for s in found.sets if s.name.endswith("/")]
    assert len(exact) == len(rounded) == len(rows) > 1
    for some, field in ((exact, "correct"), (rounded, "grid_correct")):
        for one, row in zip(some, rows, strict=True):
            assert one.example_ids == tuple(data.test_ids.tolist())
            assert one.counted("defended").tolist() == list(getattr(row, field))
            assert not one.out_of_budget
            assert max(one.distances) == pytest.approx(EPS, abs=1e-6)
    assert len({tuple(s.right["defended"]) for s in found.sets}) > 1
    survivors = record.survives(EPS, grid=False)
    assert scored(
        defended, {s.name: out / "adversarial" / f"{s.name}.npz" for s in exact}, data
    ).together("defended").count == sum(survivors)
    # the clean images are in the export too, and must not be taken for the adversarial ones
    name = exact[1].name
    assert found.share(name, "defended").value < found.clean(name, "defended").value


def test_pictures_of_the_report_are_read_too(exported, defended):
    data, _, out = exported
    found = scored(defended, out / "pictures.npz", data)
    with np.load(out / "pictures.npz") as kept:
        assert found.sets[0].example_ids == tuple(sorted(kept["example_ids"].tolist()))
        order = np.argsort(kept["example_ids"])
        right = (kept["adversarial_predictions"] == kept["labels"])[order]
    assert list(found.sets[0].right["defended"]) == right.tolist()


@pytest.fixture
def noisy(digits):
    """25 test images with random signs of eps, on the 8-bit grid: levels, and indices."""
    rng = np.random.default_rng(0)
    ids = np.sort(rng.choice(500, 25, replace=False))
    clean = np.rint(digits.x_test[ids] * 255).astype(np.int64)
    levels = np.clip(clean + 16 * rng.choice([-1, 1], clean.shape), 0, 255).astype(np.uint8)
    return levels, ids


def write(folder, levels, ids, name="{}.png"):
    folder.mkdir(exist_ok=True)
    for image, i in zip(levels, ids, strict=True):
        Image.fromarray(image[0]).save(folder / name.format(int(i)))
    return folder


def test_an_array_follows_its_clean_images_whatever_the_order_of_their_ids(noisy, digits, defended):
    levels, ids = noisy
    sets = []
    for order in (slice(None), slice(None, None, -1)):
        images, chosen = levels[order].astype(np.float32) / np.float32(255), ids[order]
        clean = digits.x_test[chosen], digits.y_test[chosen]
        (one,) = score_images(defended, images, *clean, eps=EPS, ids=chosen).sets
        assert not one.out_of_budget
        sets.append(one)
    assert sets[0] == sets[1]


def test_layouts_and_orders_are_one(noisy, digits, defended, tmp_path):
    levels, ids = noisy
    shuffled = np.random.default_rng(1).permutation(25)
    arrays = {
        "uint8": levels,
        "nhw": levels[:, 0],
        "nhwc": np.moveaxis(levels, 1, -1),
        "float32": levels.astype(np.float32) / np.float32(255),
        "float64": levels / 255,
        "shuffled": levels[shuffled],
    }
    for name, x in arrays.items():
        order = ids[shuffled] if name == "shuffled" else ids
        np.savez(tmp_path / f"{name}.npz", x=x, indices=order)
    write(tmp_path / "plain", levels, ids)
    write(tmp_path / "padded", levels, ids, "adv_{:05d}.png")
    found = scored(defended, tmp_path, digits)
    assert {s.name for s in found.sets} == {*arrays, "plain/", "padded/"}
    direct = defended.predict(levels.astype(np.float32) / np.float32(255)).argmax(axis=1)
    right = direct == digits.y_test[ids]
    for one in found.sets:
        assert one.example_ids == tuple(ids.tolist())
        assert list(one.right["defended"]) == right.tolist()
        assert max(one.distances) == pytest.approx(EPS)
        assert all(one.within)
        assert not one.misplaced


def test_without_indices_images_follow_the_test_images(digits, defended, tmp_path):
    np.savez(tmp_path / "all.npz", x=digits.x_test)
    data = digits.subset(n_test=20, stratified=True, seed=1)
    (one,) = scored(defended, tmp_path / "all.npz", data).sets
    assert one.example_ids == tuple(sorted(data.test_ids.tolist()))
    assert max(one.distances) == 0
    assert one.right == one.clean_right
    assert sorted((*one.unmatched, *one.example_ids)) == list(range(500))
    # clean images in another order than their indices
    turned = data.test_ids[::-1]
    again = score_images(
        defended, tmp_path / "all.npz", data.x_test[::-1], data.y_test[::-1], eps=EPS, ids=turned
    )
    assert again.sets == (one,)


def test_an_image_out_of_budget_is_named_and_counts_as_the_clean_one(noisy, digits, tmp_path):
    levels, ids = noisy
    x = levels / 255
    # black: wrong for almost every label, and far
    x[4], x[9] = 0, 0
    np.savez(tmp_path / "far.npz", x=x, indices=ids)
    bare = ad.build_classifier(linear_net(digits), data=digits)
    found = scored(bare, tmp_path / "far.npz", digits)
    one = found.sets[0]
    assert one.out_of_budget == (int(ids[4]), int(ids[9]))
    assert not one.misplaced
    counted, clean = one.counted("defended"), np.array(one.clean_right["defended"])
    assert (counted[[4, 9]] == clean[[4, 9]]).all()
    others = np.delete(np.arange(25), [4, 9])
    right = np.array(one.right["defended"])
    assert (counted[others] == (right & clean)[others]).all()
    wider = scored(bare, tmp_path / "far.npz", digits, eps=1.0)
    assert not wider.sets[0].out_of_budget
    assert wider.share("far", "defended", plain=True).count == right.sum()


def linear_net(digits):
    """Nearest class mean, so that tests need no training."""
    import torch

    of_class = [digits.x_train[digits.y_train == c] for c in range(10)]
    means = torch.tensor(np.stack([x.mean(axis=0).ravel() for x in of_class]))
    layer = torch.nn.Linear(64, 10)
    with torch.no_grad():
        layer.weight.copy_(2 * means)
        layer.bias.copy_(-(means**2).sum(dim=1))
    return torch.nn.Sequential(torch.nn.Flatten(), layer)


def test_a_shifted_order_is_refused_and_a_swap_is_named(noisy, digits, defended, tmp_path):
    levels, ids = noisy
    np.savez(tmp_path / "shifted.npz", x=np.roll(levels, 1, axis=0), indices=ids)
    with pytest.raises(InputError, match="the order is shifted"):
        scored(defended, tmp_path / "shifted.npz", digits)
    np.savez(tmp_path / "late.npz", x=digits.x_test[1:])
    with pytest.raises(InputError, match="0 is near 1, 1 is near 2"):
        scored(defended, tmp_path / "late.npz", digits)
    swapped = levels.copy()
    swapped[[2, 5]] = levels[[5, 2]]
    np.savez(tmp_path / "swapped.npz", x=swapped, indices=ids)
    (one,) = scored(defended, tmp_path / "swapped.npz", digits).sets
    assert one.misplaced == ((int(ids[2]), int(ids[5])), (int(ids[5]), int(ids[2])))
    assert one.out_of_budget == (int(ids[2]), int(ids[5]))


def test_several_defences_side_by_side_with_mean_and_worst(noisy, digits, defended, tmp_path):
    levels, ids = noisy
    np.savez(tmp_path / "a.npz", x=levels, indices=ids)
    np.savez(tmp_path / "b.npz", x=digits.x_test[ids[:10]], indices=ids[:10])
    drawing = ad.build_classifier(
        defended.base_network, data=digits, defences=[ad.GaussianNoise(0.6)], vote_samples=3
    )
    models = {"none": defended.base, "codes": defended, "noise": drawing}
    found = scored(models, tmp_path, digits, draws=12)
    assert [s.name for s in found.sets] == ["a", "b"]
    for name, model in models.items():
        shares = [found.share(s, name).value for s in "ab"]
        assert found.mean(name) == pytest.approx(np.mean(shares))
        assert found.worst(name).value == min(shares)
        if name != "noise":
            # the other set holds the clean images, whose errors count as broken already
            assert found.together(name).count == found.share("a", name).count
            right = model.predict(digits.x_test[ids[:10]]).argmax(axis=1) == digits.y_test[ids[:10]]
            assert found.share("b", name).count == right.sum()
    assert set(found.sets[0].draw_right) == {"noise"}
    assert 0 < np.mean(found.sets[0].draw_right["noise"]) < 12
    again = scored({"noise": drawing}, tmp_path, digits, draws=12)
    assert again.sets[0].draw_right["noise"] == found.sets[0].draw_right["noise"]
    lines = supplied_table(found).text().splitlines()
    assert lines[0].split() == ["images", "n", "out", "of", "budget", "none", "codes", "noise"]
    first = (f"{found.share('a', n).value:.1%}" for n in models)
    assert lines[1].split() == ["a", "25", "0", *first]
    assert lines[3].split() == ["mean", *(f"{found.mean(n):.1%}" for n in models)]
    assert lines[4].split() == ["worst", "set", *(f"{found.worst(n).value:.1%}" for n in models)]
    path = found.save(tmp_path / "score.json")
    assert SuppliedRecord.load(path) == found


def test_draws_follow_the_callers_seed_and_the_defence(noisy, digits, defended):
    levels, ids = noisy
    drawing = ad.build_classifier(
        defended.base_network, data=digits, defences=[ad.GaussianNoise(0.6)]
    )

    def right(seed):
        models = {"one": drawing, "other": drawing}
        clean = digits.x_test[ids], digits.y_test[ids]
        (found,) = score_images(models, levels, *clean, eps=EPS, draws=30, seed=seed).sets
        return found.draw_right

    first = right(1)
    assert first == right(1)
    assert first["one"] != right(2)["one"]
    # two rows of one record are no two counts of the same draws
    assert first["one"] != first["other"]


def test_images_of_0_to_255_and_channels_last(digits, digits_net, tmp_path, noisy):
    import torch

    class Scaled(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x.permute(0, 3, 1, 2) / 255)

    levels, ids = noisy
    classifier = ad.build_classifier(
        Scaled(digits_net), input_shape=(8, 8, 1), nb_classes=10, clip_values=(0, 255),
        channels_first=False,
    )  # fmt: skip
    np.savez(tmp_path / "bytes.npz", x=levels, indices=ids)
    np.savez(tmp_path / "floats.npz", x=levels.astype(np.float32), indices=ids)
    clean = np.moveaxis(digits.x_test, 1, -1) * np.float32(255)
    found = score_images(classifier, tmp_path, clean, digits.y_test, eps=16)
    one, two = found.sets
    assert one.right == two.right
    assert max(one.distances) == pytest.approx(16)
    assert all(one.within)


def test_what_cannot_be_matched_is_refused(noisy, digits, defended, tmp_path):
    levels, ids = noisy
    cases = {
        "twice": ({"x": levels, "indices": np.zeros(25, int)}, "each once"),
        "few": ({"x": levels, "indices": ids[:9]}, "each once"),
        "words": ({"x": levels, "indices": ids / 2}, "whole numbers"),
        "small": ({"x": levels[..., :4], "indices": ids}, "shape"),
        "beyond": ({"x": levels, "indices": ids + 500}, "belongs to one of the 500 clean"),
        "range": ({"x": levels.astype(np.float32), "indices": ids}, "divide 8-bit images"),
    }
    for name, (arrays, told) in cases.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
        with pytest.raises(InputError, match=told):
            scored(defended, tmp_path / f"{name}.npz", digits)
    np.savez(tmp_path / "other.npz", z=levels)
    with pytest.raises(FileFormatError, match="lacks x"):
        scored(defended, tmp_path / "other.npz", digits)
    named = write(tmp_path / "named", levels[:2], ids[:2], "{}_label_3.png")
    with pytest.raises(InputError, match="one number in its name"):
        scored(defended, named, digits)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no images"):
        scored(defended, tmp_path / "empty", digits)
    with pytest.raises(DataNotFoundError):
        scored(defended, tmp_path / "absent", digits)
    np.savez(tmp_path / "good.npz", x=levels, indices=ids)
    with pytest.raises(InputError, match="different whole numbers"):
        scored(defended, tmp_path / "good.npz", digits, ids=np.zeros(500, int))


def test_pictures_of_another_format_are_counted_and_named(digits, defended, tmp_path):
    x, y = digits.x_test[:3], digits.y_test[:3]
    for folder in ("mixed", "other"):
        (tmp_path / folder).mkdir()
    for i, image in enumerate(x):
        levels = Image.fromarray(np.rint(255 * image[0]).astype(np.uint8))
        levels.save(tmp_path / "mixed" / f"{i}.png")
        levels.save(tmp_path / "other" / f"{i}.webp")
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(tmp_path / "mixed" / "7.webp")
    with pytest.warns(InputWarning) as told:
        record = score_images(defended, tmp_path, x, y, eps=0.1)
    assert [found.name for found in record.sets] == ["mixed/"]
    words = sorted(str(one.message) for one in told)
    assert "mixed: skipped 1 of 4 pictures (1 .webp)" in words[0]
    assert "other: skipped 3 of 3 pictures (3 .webp)" in words[1]
