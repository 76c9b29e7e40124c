"""The final evaluation of a run: what it evaluates, and the files that it writes."""

import io
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import tensorflow_datasets as tfds
from ml_collections import ConfigDict

from modest import metrics
from modest.constants import TEST_SPLITS
from modest.data.batches import loader
from modest.data.museum import preparation, records
from modest.data.splits import SPLIT_OF_ROLES
from modest.errors import InputError
from modest.evaluation import bootstrap, figures, statistics, tables
from modest.evaluation.details import Collected, DetailedMetrics
from modest.evaluation.evaluator import Evaluator, Pictures
from modest.evaluation.tables import Table
from modest.metrics import thresholds
from modest.run import configs, devices, files, validation, workdirs
from modest.run.logbook import say, table
from modest.state import weights
from modest.state.restore import restore
from modest.state.train_state import TrainState

IN_TABLE = (
    "mask/iou",
    "mask/dice",
    "mask/boundary_f1",
    "depth/rmse",
    "depth/abs_rel",
    "depth/delta1",
)
VALIDATION, TRAIN = "validation", "train"
TRAIN_PICTURES = 48  # composites of the training split that are evaluated, for comparison
EXTREMES = 3  # pictures of each kind: best, typical and worst
RANKED_BY = ("mask/iou", "depth/rmse")


def run(config: ConfigDict, workdir: str | pathlib.Path) -> dict[str, dict[str, float]]:
    """Evaluate the best checkpoint of a work directory on the test splits, and write the results.

    The network is the trained one, which `config.json` in the work directory describes. The data
    set and the options of the evaluation come from `config`. If it is not the data set of the
    training, the results go into a subdirectory named after it.

    Args:
      config: the config.
      workdir: a work directory; or weights, see `restore.restore`, whose results go into
        `runs/NAME_eval`.

    Returns:
      `{split: {metric: value}}`.

    Raises:
      InputError: there is no checkpoint, or the config is for another network.
    """
    validation.validate_devices(config, len(devices.all_devices()))
    trained = restore(workdir)
    directory = pathlib.Path(workdir).resolve()
    if weights.is_weights(workdir):
        directory = pathlib.Path("runs").resolve() / f"{directory.stem}_eval"
    before, now = (configs.as_json(c.model) for c in (trained.config, config))
    if before != now:
        raise InputError(f"{workdir} was trained with model {before}, not {now}; use its config")
    builder = loader.prepare_from_config(config.data)
    is_same = workdirs.is_same_data(trained.config, preparation.identity(builder))
    if not is_same:
        directory = directory / builder.builder_config.name
    directory.mkdir(parents=True, exist_ok=True)
    evaluator = Evaluator.from_config(config, trained.model)
    trained_size, size = (c.stages[-1][0] for c in (trained.config, config))
    if size != trained_size:
        say(f"evaluating at {size} px; the training ended at {trained_size} px")
    final = FinalEvaluation(config, builder, evaluator, is_same)
    return final.run(devices.replicate(trained.state), directory)


class FinalEvaluation:
    """The evaluation on the test splits at the end of a run."""

    def __init__(
        self,
        config: ConfigDict,
        builder: tfds.core.DatasetBuilder,
        evaluator: Evaluator,
        is_training_data: bool = True,
    ) -> None:
        """Choose the splits.

        Args:
          config: the whole config.
          builder: the data set to evaluate on.
          evaluator: the compiled evaluation.
          is_training_data: whether the network was trained on this data set. If so, the metrics of
            single pictures are also computed of the validation split, which chooses a threshold,
            and of some training composites.

        Raises:
          InputError: the data set has none of the splits.
        """
        self._builder, self._evaluator = builder, evaluator
        self._splits = wanted_splits(config.eval.splits, builder)
        self._size = config.stages[-1][0]
        by_identity = is_training_data and VALIDATION in builder.info.splits
        self._seen = _seen() if by_identity else {}
        self._more = {}
        if by_identity and config.eval.splits != "all":
            more = {VALIDATION: None, TRAIN: TRAIN_PICTURES}
            self._more = {name: most for name, most in more.items() if name not in self._splits}

    def run(self, state: TrainState, workdir: pathlib.Path) -> dict[str, dict[str, float]]:
        """Evaluate a replicated state; write the files of an evaluation and the figures.

        Prints a table. In a distributed run only the main process writes.

        Returns:
          `{split: {metric: value}}`.
        """
        results, pictures, evaluated = {}, {}, {}
        detailed = DetailedMetrics()
        for split in (*self._splits, *self._more):
            examples = loader.Examples(self._builder, split, self._size, self._more.get(split))
            collected = Collected(detailed)
            values, shown = self._evaluator(state, examples, collected=collected)
            evaluated[split] = collected.table(examples)
            if split in self._splits:
                results[split], pictures[split] = values, shown
                results[split]["examples"] = len(examples)
        threshold = _add_best_threshold(evaluated)
        shown_split = TEST_SPLITS[0] if TEST_SPLITS[0] in self._splits else self._splits[0]
        extremes = self._extremes(state, shown_split, evaluated[shown_split][0])
        if devices.is_main():
            of_splits = {
                split: statistics.of_split(*part) | {"seen": self._seen.get(split)}
                for split, part in evaluated.items()
            }
            details = {
                "parameters": sum(math.prod(x.shape[1:]) for x in jax.tree.leaves(state.params)),
                "size": self._size,
                "dataset": preparation.identity(self._builder)["sha256"],
                "threshold": threshold,
                "resamples": bootstrap.RESAMPLES,
                "splits": of_splits,
            }
            files.write_json(workdir / workdirs.EVAL_DETAILS, details)
            tables.write(
                workdir / workdirs.EVAL_PICTURES,
                {split: part[0] for split, part in evaluated.items()},
            )
            _write_pictures(workdir / workdirs.EVAL_EXTREMES, extremes)
            _write_pictures(workdir / workdirs.PREDICTIONS, pictures)
            # Last, because a run counts as finished when this file is there.
            files.write_json(workdir / workdirs.EVAL, results)
            _show(workdir, results, of_splits)
        return results

    def _extremes(self, state, split, of_pictures: Table) -> dict[str, Pictures]:
        """Return the best, typical and worst pictures of a split by each of `RANKED_BY`."""
        examples = loader.Examples(self._builder, split, self._size)
        result = {}
        for name in RANKED_BY:
            if name not in of_pictures.values:
                continue
            chosen = ranked(name, of_pictures.values[name])
            rows = [row for group in chosen.values() for row in group]
            if rows:
                shown = self._evaluator.pictures(state, examples, rows)
                kinds = [kind for kind, group in chosen.items() for _ in group]
                shown["row"], shown["group"] = np.asarray(rows), np.asarray(kinds)
                result[f"{split}/{name}"] = shown
        return result


def ranked(name: str, values: np.ndarray) -> dict[str, list[int]]:
    """Return the best, the typical and the worst pictures by a metric, at most three of each.

    Args:
      name: the metric.
      values: its value for each picture, `[N]`; pictures with NaN are left out.

    Returns:
      `{"best", "typical", "worst": indices}`, from the best to the worst. No picture occurs twice.
      Typical ones are those around the median; one or two pictures are all typical.
    """
    scores = np.asarray([metrics.score(name, {name: value}) for value in values])
    order = [int(i) for i in np.argsort(-scores, kind="stable") if not np.isnan(values[i])]
    count = min(EXTREMES, len(order) // 3)
    if not count:
        return {"best": [], "typical": order, "worst": []}
    middle = (len(order) - count) // 2
    return {
        "best": order[:count],
        "typical": order[middle : middle + count],
        "worst": order[len(order) - count :],
    }


def wanted_splits(text: str, builder: tfds.core.DatasetBuilder) -> list[str]:
    """Return the splits that `eval.splits` names and the data set has.

    Args:
      text: names separated by commas; or `all`, for every composite of the data set in one split.
      builder: a prepared data set.

    Raises:
      InputError: the data set has none of them.
    """
    present = [name for name in builder.info.splits if name not in records.NON_COMPOSITE_SPLITS]
    if text == "all":
        return ["+".join(present)]
    wanted = [name for name in text.split(",") if name in present]
    if not wanted:
        raise InputError(
            f"--config.eval.splits={text}: the data set has {', '.join(present)}; give some, or all"
        )
    return wanted


def _seen() -> Mapping[str, dict[str, bool]]:
    """Return whether training has seen the backgrounds and the figures of each split."""
    return {
        split: {"background": background == TRAIN, "figure": figure == TRAIN}
        for (background, figure), split in SPLIT_OF_ROLES.items()
    }


def _add_best_threshold(evaluated: Mapping[str, Any]) -> float | None:
    """Add the IoU at the threshold that the validation split chooses; return that threshold."""
    above = evaluated.get(VALIDATION, (None, None))[1]
    if above is None:
        return None
    threshold = statistics.best_threshold(above)
    place = round(threshold * thresholds.BINS)
    for of_pictures, above in evaluated.values():
        of_pictures.values["mask/iou_at_best"] = thresholds.ious(above)[:, place]
    return threshold


def _write_pictures(path, pictures):
    arrays = {f"{name}/{kind}": x for name, part in pictures.items() for kind, x in part.items()}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    files.write(path, stream.getvalue())


def _show(workdir, results, of_splits):
    """Draw the figures, and print the table with its intervals and the paths."""
    drawn = figures.write(workdir)
    columns = [name for name in IN_TABLE if name in next(iter(results.values()))]
    rows: dict[str, list[float | str]] = {}
    for split, values in results.items():
        rows[split] = [values[name] for name in columns]
        ends = [of_splits[split]["metrics"][name] for name in columns]
        rows[f"{split}, 95 %"] = [
            "-" if end["low"] is None else f"{end['low']:.4f}-{end['high']:.4f}" for end in ends
        ]
    for line in table("split", columns, rows):
        say(line)
    written = [workdirs.EVAL, workdirs.EVAL_DETAILS, workdirs.EVAL_PICTURES, workdirs.EVAL_EXTREMES]
    for path in (*(workdir / name for name in written), *drawn):
        say(str(path))
