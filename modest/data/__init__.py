"""Pictures, masks and depth maps: how data sets are read, made and divided.

The modules of this folder are tools: `images` (all decoding and encoding) with `orientation`,
`masks` (how masks say what is foreground), `composite` (how a composite is made), `modest_layout`
(data sets on disk) with `picture_files`, `zip_checks` and `fingerprints`, `splits` (which
composites train and which test), `pixel_statistics` and `workers`. They may import the top-level
modules and `run`. The sub-folders use them: `synthetic` (drawn rooms and people), `world` (a drawn
data set with more variety), `museum` (TFDS data sets), `recipe` (data sets from your own pictures)
and `batches` (what the networks are fed). A sub-folder may also import those named before it. Begin
with `composite.py`.
"""
