"""Every figure of the five papers: what it shows, and why it is not run again where it is not."""

from dataclasses import dataclass

from art_disc.core.showing import Shown


@dataclass(frozen=True, slots=True)
class PrintedFigure(Shown):
    """A figure, or panels of one.

    Attributes:
        name: As `art-disc reproduce` calls it, `chen2018-figure1`; of panels that are not run
            `chen2018-figure1b`.
        shows: What is in it.
        reason: Why it is not run; empty: it can be.
        minutes: Of one core, about what it would cost where nothing but work is in the way.
    """

    name: str
    shows: str
    reason: str = ""
    minutes: float | None = None

    @property
    def paper(self) -> str:
        """`chen2018`, ..."""
        return self.name.partition("-")[0]


_DRAWING = "a drawing without numbers"
_IMAGENET, _CIFAR100 = "ImageNet is not at hand", "CIFAR-100 is not at hand"
# adversarial trainings, and PGD on 500 training and 500 test images of each
_GAP = ("training images are not attacked", 70.0)

FIGURES: tuple[PrintedFigure, ...] = (
    PrintedFigure("chen2018-figure1", "MNIST, six settings over eps"),
    PrintedFigure("chen2018-figure1b", "ImageNet, six settings over eps", _IMAGENET),
    PrintedFigure("chen2018-figure2", "CIFAR-10, six settings over eps"),
    PrintedFigure("chen2018-figure2b", "CIFAR-10, training images under attack", *_GAP),
    PrintedFigure("chen2018-figure3", "MNIST, certificates and attacks over eps"),
    PrintedFigure("chen2019-figure1", "MNIST and Fashion-MNIST, six settings over eps"),
    PrintedFigure("chen2019-figure2", "GTSRB, six settings over eps"),
    PrintedFigure("chen2019-figure2b", "ImageNet, six settings over eps", _IMAGENET),
    PrintedFigure("chen2019-figure3", "CIFAR-10, six settings over eps"),
    PrintedFigure("chen2019-figure3b", "CIFAR-10, training images under attack", *_GAP),
    PrintedFigure("chen2019-figure4", "MNIST, certificates and attacks over eps"),
    PrintedFigure("chen2019-figure5", "MNIST and CIFAR-10, equivalence classes in reach"),
    PrintedFigure("chen2019-figure6", "CIFAR-10, pixels around each colour"),
    PrintedFigure("chen2019-figure7", "MNIST, pixels at each level"),
    PrintedFigure("kyatham2020-figure1", "the networks of LQ-VAE", _DRAWING),
    PrintedFigure("kyatham2020-figure2", "latent points by t-SNE", "a picture without numbers"),
    PrintedFigure("kyatham2020-figure3", "MNIST, bits that adversarial images flip"),
    PrintedFigure("panda2019-figure1", "an adversarial image", _DRAWING),
    PrintedFigure("panda2019-figure2", "images as points of a plane", _DRAWING),
    PrintedFigure("panda2019-figure3", "images of fewer bits", _DRAWING),
    PrintedFigure("panda2019-figure4", "CIFAR-10 and MNIST, input bits over eps"),
    PrintedFigure("panda2019-figure5", "CIFAR-10 and MNIST, binarised networks over eps"),
    PrintedFigure("panda2019-figure6", "MNIST, norms of the first hidden layer"),
    PrintedFigure("panda2019-figure7", "CIFAR-100, input bits over eps", _CIFAR100),
    PrintedFigure("panda2019-figure8", "ImageNet, input bits over eps", _IMAGENET),
    PrintedFigure("zhang2019-figure1", "an image and its colours", _DRAWING),
    PrintedFigure("zhang2019-figure2", "MNIST, randomised defences over eps"),
    PrintedFigure("zhang2019-figure3", "MNIST, certified and attacked over eps"),
    PrintedFigure("zhang2019-figure4a", "the noise of Gaussian and RandMix, on CIFAR-10"),
    PrintedFigure("zhang2019-figure4b", "the clusters of RandMix, on CIFAR-10"),
    PrintedFigure("zhang2019-figure4c", "gradients of the attack, on CIFAR-10"),
    PrintedFigure("zhang2019-figure4d", "certified over eps, on CIFAR-10"),
)
