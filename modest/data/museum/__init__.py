"""Prepare data sets with TFDS (without TensorFlow), and read their records.

`preparation` prepares a data set and opens its splits; `builder` is the TFDS builder; `records`
defines a record; `shards` writes shards so that a killed build can resume. `synthetic_shards` and
`directory_shards` list what to write for the two kinds of data sets, and `beam` writes with Apache
Beam. May import `modest.data.synthetic` and everything below. Begin with `preparation.py`.
"""
