"""Prepare data sets with TFDS (without TensorFlow), and read their records.

To prepare a data set is to write its records into the files that TFDS reads. A record is one
composite, with encoded pictures; a shard is one file of records.

`preparation` prepares a data set and opens its splits; `builder` is the TFDS builder, and
`builder_configs` has its configs; `records` defines a record; `shards` writes shards so that a
killed build can resume. `synthetic_shards` and `directory_shards` list what to write for the two
kinds of data sets, and `beam` writes with Apache Beam. May import `modest.data.world` and every
package before it in the list of docs/design.md. Begin with `preparation.py`.
"""
