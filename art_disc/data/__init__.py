"""Data sets as arrays: the embedded digits, npz files, CIFAR-10 binaries, folders of images.

`art_disc.data.toys` holds toy problems with known answers.
"""

from art_disc.data.arrays import as_dataset as as_dataset
from art_disc.data.arrays import from_arrays as from_arrays
from art_disc.data.dataset import Dataset as Dataset
from art_disc.data.idealized import IdealizedImages as IdealizedImages
from art_disc.data.lemma1 import Lemma1 as Lemma1
from art_disc.data.loading import DATASETS as DATASETS
from art_disc.data.loading import load_dataset as load_dataset
from art_disc.data.one_image import OneImage as OneImage
from art_disc.data.one_image import load_image as load_image

__all__ = [
    "DATASETS",
    "Dataset",
    "IdealizedImages",
    "Lemma1",
    "OneImage",
    "as_dataset",
    "from_arrays",
    "load_dataset",
    "load_image",
]
