"""Write shards with Apache Beam, for data sets that are too large for one machine.

Needs `pip install apache-beam`. A Beam worker writes whole shards, with the same bytes as a thread
does. All workers and the machine that starts them must share the directory of the shards.
"""

from collections.abc import Callable

import tensorflow_datasets as tfds

from modest.errors import InputError


def write(
    writer: Callable[[int], None], count: int, download_config: tfds.download.DownloadConfig
) -> None:
    """Call `writer(0)` ... `writer(count - 1)` on Beam's workers.

    Args:
      writer: a `shards.Writer`.
      count: number of shards.
      download_config: TFDS's options. Its `beam_runner` and `beam_options` (Beam's own options, or
        a list of flags) select where the workers run.

    Raises:
      InputError: Beam is not installed, or its run failed. Shards that are complete remain.
    """
    try:
        import apache_beam as beam
    except ImportError:
        raise InputError("--beam_runner needs `pip install apache-beam`") from None
    runner, options = download_config.beam_runner, download_config.beam_options
    if options is None or isinstance(options, list):
        options = beam.options.pipeline_options.PipelineOptions(options or [])
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            pipeline | beam.Create(range(count)) | beam.Reshuffle() | beam.Map(writer)
    except Exception as error:  # each runner wraps a worker's error in its own way
        last_line = str(error).strip().splitlines()[-1]
        raise InputError(f"Beam's {runner} failed: {last_line}") from error
