"""Writes the shards of a data set with Apache Beam, for those that are too large for one machine. Needs `pip install apache-beam`.

A worker makes whole shards, the same bytes as a thread does, and writes them to a directory that all workers and the machine that
started them see.
"""

from modest.data.museum import records, shards
from modest.vocabulary import InputError


def write(directory, contents_of, count, file_name, download_config):
    """Writes the `count` shards of `contents_of()` that are not yet in `directory`.

    `contents_of` and `file_name` (as `shards.write` has it) are sent to the workers. Of `download_config`, TFDS's own,
    `beam_runner` and `beam_options` say where these run.
    """
    try:
        import apache_beam as beam
    except ImportError:
        raise InputError("--beam_runner needs `pip install apache-beam`") from None
    options = beam.options.pipeline_options.PipelineOptions(download_config.beam_options or [])
    with beam.Pipeline(runner=download_config.beam_runner, options=options) as pipeline:
        pipeline | beam.Create(range(count)) | beam.Reshuffle() | beam.Map(_Writer(directory, contents_of, file_name))


class _Writer:
    """Writes a shard by its number. What the data set is to hold is listed once by each worker."""

    def __init__(self, directory, contents_of, file_name):
        self._directory, self._contents_of, self._file_name = directory, contents_of, file_name
        self._shards = None

    def __call__(self, index):
        if self._shards is None:
            self._shards = self._contents_of().shards
        shards.write_one(self._directory, self._shards, index, records.features(), self._file_name)

    def __getstate__(self):
        return self.__dict__ | {"_shards": None}
