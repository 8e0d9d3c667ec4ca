"""Certificates of networks of signs by a constraint solver: exact, whole numbers all the way.

`twin` makes of a classifier one whose network computes in whole numbers, which is what predicts and
what is verified. `rows` holds its layers as sparse matrices and bounds them over boxes of levels,
`programme` states one image for OR-tools' CP-SAT, and `method` puts bounds, attack and solver in
order.
"""
