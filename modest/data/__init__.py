"""Pictures, masks and depth maps: how data sets are read, made and divided.

The modules here are the tools: `images` (all decoding and encoding), `composite` (how a composite
is made), `modest_layout` (data sets on disk), `splits` (what trains and what tests),
`pixel_statistics` and `workers`. They may import the top-level modules and `run`. Above them, each
using only those before it: `synthetic` (drawn rooms and people), `museum` (TFDS data sets) and
`recipe` (data sets from one's own pictures), and `batches` (what the networks are fed). Begin with
`composite.py`.
"""
