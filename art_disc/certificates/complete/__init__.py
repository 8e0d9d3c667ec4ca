"""Certificates by bounds and by search: methods for images with too many code images to enumerate.

`network` finds the torch network behind a codebook map and its graph of bounds, `scene` holds what
all images of a problem share, `roots` bounds whole images in batches, `attacked` attacks those that
bounds leave, `branch` cuts the code box of one image into smaller ones (`node`) until each is
decided, by tables of what few of its free units decide (`tabled`) or by CROWN-IBP (`frame`), and
`method` puts these in order.
"""
