"""Writes the shards of a data set with Apache Beam, for those that are too large for one machine. Needs `pip install apache-beam`.

A worker makes whole shards, the same bytes as a thread does, and writes them to a directory that all workers and the machine that
started them see.
"""

from modest.vocabulary import InputError


def write(writer, count, download_config):
    """Calls `writer`, a `shards.Writer`, with the numbers of `count` shards on Beam's workers.

    Of `download_config`, TFDS's own, `beam_runner` and `beam_options` (Beam's own, or a list of flags) say where these run.

    Raises:
      InputError: Beam is not installed, or its run failed; what was written by then stays.
    """
    try:
        import apache_beam as beam
    except ImportError:
        raise InputError("--beam_runner needs `pip install apache-beam`") from None
    options = download_config.beam_options
    if options is None or isinstance(options, list):
        options = beam.options.pipeline_options.PipelineOptions(options or [])
    try:
        with beam.Pipeline(runner=download_config.beam_runner, options=options) as pipeline:
            pipeline | beam.Create(range(count)) | beam.Reshuffle() | beam.Map(writer)
    except Exception as error:  # whatever a runner makes of a worker's error
        raise InputError(f"Beam's {download_config.beam_runner} failed: {str(error).strip().splitlines()[-1]}") from error
