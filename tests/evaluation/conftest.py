import pytest

import art_disc as ad


@pytest.fixture(scope="session")
def defended(digits, digits_net):
    book = ad.DensityCodebook(n_codes=2, radius=0.6).fit(digits.x_train)
    return ad.build_classifier(digits_net, data=digits, defences=[ad.PixelDiscretization(book)])
