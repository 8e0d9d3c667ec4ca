"""Verdicts that no attack can contradict.

`front.certify` checks what it is given and makes a `problem.Problem`: a deterministic classifier
behind a codebook map, images, labels, and the codewords that a budget reaches in each. A method of
the table `methods.METHODS` decides it, one `Finding` an image; the front tries every witness once
more and writes the record. `complete/` holds the methods that bound the network and search.
`divergence/` is for classifiers that draw: `front.kl_certify` there bounds how far a budget moves
the law of the draws (`divergence.models`), and a table of bounds (`divergence.decide.BOUNDS`) turns
that and limits of votes into verdicts.
"""
