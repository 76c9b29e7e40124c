"""Exact evaluation of a state on a split, and the `eval` mode: restore a work directory's best checkpoint, write `eval.json`.

Every example counts once, whatever the batch size and the number of devices.
"""

import functools
import pathlib

import jax
import numpy as np

from modest import config as configs
from modest import losses, metrics, parallel, report
from modest import state as states
from modest.checkpoint import Checkpoints
from modest.data import loader, museum
from modest.logbook import say, table, write_json
from modest.preprocess import to_float
from modest.vocabulary import CHANNELS, InputError

FILE = "eval.json"
PREDICTIONS = "predictions.npz"
SHOWN = ("mask/iou", "mask/dice", "mask/boundary_f1", "depth/rmse", "depth/abs_rel", "depth/delta1")


def eval_step(state, batch, model, weights):
    """Sums of metrics and losses over one batch, over all devices; and the outputs. Pure; runs under `parallel.AXIS`.

    Returns:
      (`{name: Mean}` over valid rows, `{head: probabilities [B,H,W,1]}` of this device)
    """
    targets = to_float(batch)
    state = states.averaged(state)
    outputs, _ = states.forward(model, state, state.params, targets, train=False)
    sums = metrics.sums(metrics.per_example(outputs, targets) | _loss_values(outputs, targets, weights), targets["valid"])
    return parallel.total(sums), jax.tree.map(jax.nn.sigmoid, outputs)


class Evaluator:
    """`eval_step` compiled for one model and table of loss weights."""

    def __init__(self, model, weights):
        self._step = parallel.parallel(functools.partial(eval_step, model=model, weights=weights))

    def __call__(self, state, examples, options, threads, watched=iter):
        """Metrics over all `examples` (of the loader), `{name: float}`, and some of the examples with their predictions.

        Args:
          state: replicated.
          examples: `loader.Examples`; each counts once.
          options: `batch_size`, over all devices, and `pictures`, how many examples to give back: uint8 arrays `{bg, bg_fg,
            mask, depth, output_mask, ...}`, spread evenly over those that this process reads.
          watched: passes the batches through; where it ends them early, the results are of no use.
        """
        batches = loader.eval_batches(examples, options.batch_size, threads, parallel.rows(options.batch_size))
        keep = spread(options.pictures, len(examples) // parallel.processes())
        means, kept, place = {}, [], 0
        for batch in watched(batches):
            sums, outputs = self._step(state, parallel.shard(batch))
            for name, mean in parallel.unreplicate(sums).items():
                means[name] = means.get(name, metrics.Mean()).merge(mean)
            rows = [at - place for at in keep if 0 <= at - place < batch["valid"].sum()]
            if rows:
                kept.append(_pictures(batch, parallel.unshard(outputs), rows))
            place += len(batch["valid"])
        shown = {k: np.concatenate([part[k] for part in kept]) for k in kept[0]} if kept else {}
        return {name: float(mean.value()) for name, mean in means.items()}, shown


def run(config, workdir):
    """Evaluates the best checkpoint of `workdir` on the test splits; writes `eval.json`, `predictions.npz` and the figures.

    The network is the one that was trained (`config.json` there); data and evaluation settings come from `config`. Results on other
    data than it was trained on go into a folder of the data set's name inside `workdir`.
    """
    workdir = pathlib.Path(workdir).resolve()
    configs.validate_devices(config, len(parallel.devices()))
    trained, model, best = restore_best(workdir)
    if trained.model.to_dict() != config.model.to_dict():
        raise InputError(f"{workdir} was trained with model {dict(trained.model)}, not {dict(config.model)}; use its config")
    builder = loader.prepare(config.data)
    if configs.get(trained, "dataset.name") != builder.info.full_name:
        workdir = workdir / builder.builder_config.name  # other data: their results do not take the place of its own
        workdir.mkdir(exist_ok=True)
    evaluator = Evaluator(model, config.loss.to_dict())
    return evaluate_splits(config, workdir, builder, evaluator, parallel.replicate(best))


def restore_best(workdir):
    """`(config, model, TrainState)` of the best checkpoint in `workdir`; raises `InputError` where there is none.

    Where the run kept a moving average, that is the network.
    """
    workdir = pathlib.Path(workdir).resolve()
    trained = configs.load(workdir)
    if trained is None:
        raise InputError(f"{workdir}: no {configs.FILE}, nothing was trained there; train first, or give another --workdir")
    init, model, *_ = states.create(trained, total_steps=1, steps_per_epoch=1)
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        found = checkpoints.restore_best(jax.eval_shape(init))
    if found is None:
        raise InputError(f"{workdir}: no checkpoint there yet; train first, or give another --workdir")
    best, meta = found
    say(f"{workdir}: restored step {meta['step']} (epoch {meta['epoch']})")
    return trained, model, states.averaged(best)


def evaluate_splits(config, workdir, builder, evaluator, replicated):
    """The closing evaluation of a replicated state on `eval.splits`: files, figures and the table. Returns the results."""
    results, pictures = {}, {}
    for split in wanted_splits(config.eval.splits, builder):
        examples = loader.Examples(builder, split, config.stages[-1][0])
        results[split], pictures[split] = evaluator(replicated, examples, config.eval, config.data.threads)
        results[split]["examples"] = len(examples)
    if not parallel.is_main():
        return results
    write_json(workdir / FILE, results)
    np.savez_compressed(workdir / PREDICTIONS, **{f"{split}/{k}": v for split, part in pictures.items() for k, v in part.items()})
    figures = report.write(workdir)
    shown = [name for name in SHOWN if name in next(iter(results.values()))]
    for line in table("split", shown, {split: [values[name] for name in shown] for split, values in results.items()}):
        say(line)
    for path in (workdir / FILE, *figures):
        say(str(path))
    return results


def wanted_splits(text, builder):
    """The splits that `eval.splits` names, comma-separated, but for those the data set lacks; `all` is every composite of it."""
    present = [name for name in builder.info.splits if name not in museum.LIBRARY]
    if text == "all":
        return ["+".join(present)]
    wanted = [name for name in text.split(",") if name in present]
    if not wanted:
        raise InputError(f"--config.eval.splits={text}: the data set has {', '.join(present)} (or say all)")
    return wanted


def _loss_values(outputs, targets, weights):
    """Each loss term and the total for every example on its own, `{"loss": [B], ...}`, of the heads that there are targets of."""
    heads = [head for head in outputs if head in targets]
    weights = {head: weights[head] for head in heads}

    def one(outputs, targets):
        batch_of_one = jax.tree.map(lambda x: x[None], (outputs, targets))
        loss, terms = losses.total(*batch_of_one, weights)
        return {"loss": loss, **{f"loss/{name}": value for name, value in terms.items()}}

    return jax.vmap(one)(*({head: maps[head] for head in heads} for maps in (outputs, targets)))


def spread(count, examples):
    """`count` places, fewer where there are fewer, spread evenly over a number of examples (neighbours show the same room)."""
    count = min(count, examples)
    return [i * examples // count for i in range(count)]


def _pictures(batch, outputs, rows):
    """Some rows of a batch and its outputs, all uint8."""
    truth = {kind: batch[kind][rows] for kind in CHANNELS if kind in batch}
    return truth | {f"output_{head}": np.round(255 * output[rows]).astype(np.uint8) for head, output in outputs.items()}
