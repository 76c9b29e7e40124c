"""Checkpoints of any pytree with orbax: `<directory>/<step>/`, the newest ones and the best one kept.

Arrays are saved as numpy, so a checkpoint does not depend on the number of devices. A step is committed by a rename: one that was
interrupted is never listed. Beside the state lies `meta`, a dict of JSON values (epoch, metrics, and the shape of every array, with
which a checkpoint of another model is told before anything is read).
"""

import math
import pathlib
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp

from modest.vocabulary import InputError

LOWEST = -sys.float_info.max  # the score of what must never be the best: finite, as JSON has no infinity
policies = ocp.checkpoint_managers.preservation_policy


class Checkpoints:
    """The checkpoints in one directory; use as a context manager, so that a save in flight is finished on leaving."""

    def __init__(self, directory, keep=2):
        """The `keep` newest ones are kept, and the one with the highest score."""
        self._directory = pathlib.Path(directory).resolve()
        kept = [policies.LatestN(keep), policies.BestN(get_metric_fn=lambda m: m["score"], n=1)]
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy(kept),  # `best_fn` with `max_to_keep` would delete the newest
            best_fn=lambda m: m["score"],  # makes orbax store the score beside the step
            cleanup_tmp_directories=True,
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._manager.wait_until_finished()
        self._manager.close()

    def steps(self):
        """The steps that can be restored, ascending."""
        return sorted(self._manager.all_steps())

    def latest(self):
        """The newest step, or None."""
        return self._manager.latest_step()

    def best(self):
        """The step with the highest score, the newest of equals; None where there is none. Waits for a save in flight."""
        self.wait()
        return max(self.steps(), key=lambda step: (self._manager.metrics(step)["score"], step), default=None)

    def save(self, step, state, meta, score=LOWEST):
        """Saves `state` under `step`, in the background. The highest `score` is the best; one that is not a number never is."""
        score = float(score) if math.isfinite(score) else LOWEST
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(jax.tree.map(np.asarray, state)),
            meta=ocp.args.JsonSave(dict(meta) | {"arrays": _describe(state)}),
        )
        if not self._manager.save(step, args=arguments, metrics={"score": score}):
            raise RuntimeError(f"{self._directory}: step {step} was not saved; the newest there is {self.latest()}")

    def wait(self):
        """Until the save in flight is on disk."""
        self._manager.wait_until_finished()

    def restore(self, step, like):
        """`(state, meta)` of `step`; `like` is a pytree of the same structure, shapes and types (`jax.eval_shape` will do).

        Raises:
          InputError: the checkpoint is of something else; the line names the first arrays that differ.
        """
        meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        found, wanted = meta.pop("arrays"), _describe(like)
        differing = [path for path in sorted({*found, *wanted}) if found.get(path) != wanted.get(path)]
        if differing:
            shown = "; ".join(f"{p} is {found.get(p, 'absent')}, not {wanted.get(p, 'absent')}" for p in differing[:3])
            raise InputError(
                f"{self._directory / str(step)} holds another model or optimizer ({len(differing)} arrays differ): {shown}; "
                "use its own config, or another --workdir"
            )
        abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), like)
        restored = self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)))
        return jax.tree.map(np.asarray, restored["state"]), meta


def _describe(tree):
    """`{path: "float32[3, 3]"}` of every array."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): f"{np.dtype(x.dtype).name}{list(x.shape)}" for path, x in leaves}
