"""Evaluate the best checkpoint of a run, in two ways.

1. `evaluate.run` evaluates all test splits, prints a table, and writes the results, more metrics,
   pictures and figures to `--workdir` (docs/evaluation.md).
2. `Evaluator` evaluates the examples that it is given, and returns metrics and pictures.

Prints the same metric from both, for all test splits and for `--split`. Run `train.py` first. This
script takes about 15 s on two CPU cores.

    python docs/examples/evaluate.py
    python docs/examples/evaluate.py --split validation
"""

import argparse
from collections.abc import Sequence

from modest.data.batches import loader
from modest.evaluation import evaluate
from modest.evaluation.evaluator import Evaluator
from modest.run import devices, runtime
from modest.state.restore import restore_best


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, and print the results."""
    parser = argparse.ArgumentParser(description="Evaluate the best checkpoint of a run.")
    parser.add_argument("--workdir", default="runs/example", help="directory of the run")
    parser.add_argument("--split", default="test", help="a split of the run's data set")
    parser.add_argument("--metric", default="mask/iou", help="the metric to print")
    options = parser.parse_args(argv)
    runtime.prepare()

    trained = restore_best(options.workdir)  # config, model and state
    config = trained.config  # the config of the training, read from the work directory

    results = evaluate.run(config, options.workdir)
    for split, values in results.items():
        print(f"evaluate.run: {split}: {options.metric} {values[options.metric]:.4f}")

    builder = loader.prepare_from_config(config.data)  # returns at once if it is prepared
    size = config.stages[-1][0]
    examples = loader.Examples(builder, options.split, size)
    evaluator = Evaluator.from_config(config, trained.model)
    # The state needs a copy on every device. `pictures` holds uint8 arrays of a few examples.
    metrics, pictures = evaluator(devices.replicate(trained.state), examples)
    print(f"Evaluator: {options.split}: {options.metric} {metrics[options.metric]:.4f}")
    print(f"{len(examples)} examples of {size} px; pictures: {', '.join(pictures)}")


if __name__ == "__main__":
    main()
