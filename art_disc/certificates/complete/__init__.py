"""Certificates by bounds and by search: methods for images with too many code images to enumerate.

`network` finds the torch network behind a codebook map and its graph of bounds, `scene` holds what
all images of a problem share, `roots` bounds whole images in batches, `attacked` attacks those that
bounds leave, `frame` is the network over the free units of one image, `branch` cuts its code box
into smaller ones until each is decided, and `method` puts these in order.
"""
