"""How long an LQ-VAE takes to purify MNIST's test images, and how many passes that is.

The layers of table 8 with weights as they are drawn: what weights hold changes no time. One pass
through encoder and decoder an image, in float32, by the ART preprocessor as users call it, five
times. Defense-GAN's published recipe (Samangouei, Kabkab, Chellappa 2018: 10 starts of 200 steps of
gradient descent in its latent space) takes a pass forward and one backward a step.

    python -m studies.lqvae_speed --threads 2 --data-dir DIR
"""

import statistics

import torch

import art_disc as ad
from art_disc.networks import LQVAENet
from studies import common
from studies.thermometer_speed import timed

REPEATS = 5
STARTS, STEPS = 10, 200


def line() -> list[str]:
    """Return the lines of a page that say what was found."""
    made = common.load("lqvae_speed")
    ours, theirs = made["passes_an_image"], made["defense_gan_passes_an_image"]
    return [
        f"Purifying {made['images']:,} MNIST images takes {made['seconds_median']:.1f} s "
        f"({made['threads']} threads, float32): {ours['forward']} passes forward an image and none "
        f"backward, where Defense-GAN's published recipe takes {theirs['forward']:,} forward and "
        f"{theirs['backward']:,} backward. (`studies/lqvae_speed.py`; {common.where(made)})"
    ]


def main() -> None:
    parser = common.parser(__doc__.splitlines()[0])
    parser.add_argument("--n-ex", type=int, default=10_000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    x = ad.load_dataset("mnist", data_dir=options.data_dir).x_test[: options.n_ex]
    purifier = ad.LQVAEFilter(LQVAENet().eval())
    purifier(x[:100])
    clock = common.Clock()
    seconds = [timed(lambda: purifier(x))[0] for _ in range(REPEATS)]
    print(f"{len(x)} images: {statistics.median(seconds):.1f} s, of {seconds}")
    common.write(
        "lqvae_speed",
        {
            "images": len(x),
            "threads": options.threads,
            "seconds_each": [round(value, 2) for value in seconds],
            "seconds_median": round(statistics.median(seconds), 2),
            # encoder and decoder 1, forward
            "passes_an_image": {"forward": 2, "backward": 0},
            "defense_gan_passes_an_image": {"forward": STARTS * STEPS, "backward": STARTS * STEPS},
            "ratio_of_passes": 2 * STARTS * STEPS / 2,
            **clock.facts(),
        },
        options.threads,
    )


if __name__ == "__main__":
    main()
