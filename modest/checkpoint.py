"""Checkpoints of any pytree with orbax: `<directory>/<step>/`, the newest ones and the best one kept.

Arrays are saved as numpy, so a checkpoint does not depend on the number of devices. A step is committed by a rename: one that was
interrupted is never listed. Beside the state lies `meta`, a dict of JSON values, and in it what a checkpoint is checked against
when it is read: shape, type and SHA-256 of every array (orbax gives altered values back without a word), and a SHA-256 of itself.
"""

import contextlib
import hashlib
import json
import math
import pathlib
import shutil
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp

from modest import parallel
from modest.logbook import say
from modest.vocabulary import InputError, TrainingError

LOWEST = -sys.float_info.max  # the score of what must never be the best: finite, as JSON has no infinity


class DamagedError(Exception):
    """A checkpoint does not hold what was saved; the message is one line that names it."""


class Checkpoints:
    """The checkpoints in one directory; use as a context manager, so that a save in flight is finished on leaving."""

    def __init__(self, directory, keep=None):
        """To read, or with `keep` to write: the `keep` newest ones are kept, and the one with the highest score.

        Only one process may write; what another one left unfinished is removed.
        """
        self._directory = pathlib.Path(directory).resolve()
        self._scores = {}
        self._saving = None  # the step in flight, and its size in bytes
        writes = keep is not None
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_NewestAndBest(keep, self._score) if writes else None,
            create=writes,
            cleanup_tmp_directories=writes,
            lightweight_initialize=True,  # reads nothing that may be damaged
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self.wait()
        finally:
            self._manager.close()

    def steps(self):
        """The steps on disk, ascending."""
        return sorted(self._manager.all_steps())

    def latest(self):
        """The newest step, or None."""
        return max(self.steps(), default=None)

    def best(self):
        """The step with the highest score, the newest of equals; None where there is none. Waits for a save in flight."""
        self.wait()
        return max(self.steps(), key=lambda step: (self._score(step), step), default=None)

    def save(self, step, state, meta, score=math.nan):
        """Saves `state` under `step`, in the background. The highest `score` is the best; one that is not a number never is.

        The newest step may be saved again, with other `meta`; until that is done, the one before it is the newest.

        Raises:
          TrainingError: a number in `state` is not finite; or the disk is full. Other steps are still there.
        """
        state = jax.tree.map(np.asarray, state)
        _check_finite(step, state)
        meta = dict(meta) | {"score": float(score) if math.isfinite(score) else LOWEST, "arrays": _manifest(state)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta | {"sha256": _seal(meta)}))
        self.wait()
        if step == self.latest():
            self._manager.delete(step)
        self._saving, self._scores[step] = (step, size_of(state)), meta["score"]
        with self._told_of():
            saved = self._manager.save(step, args=items)
        if not saved:
            raise RuntimeError(f"{self._directory}: step {step} was not saved; the newest there is {self.latest()}")

    def wait(self):
        """Until the save in flight is on disk. Raises `TrainingError` where it could not be written."""
        with self._told_of():
            self._manager.wait_until_finished()
        self._saving = None

    def restore_newest(self, like):
        """`(state, meta)` of the newest step that is whole, or None where there is no step.

        Damaged ones that are newer are told of and moved into `damaged` beside the directory; their steps can be saved again.

        Raises:
          InputError: there are steps, but none is whole; or as `restore`.
        """
        step, found = self._first_whole(sorted(self.steps(), reverse=True), like)
        for newer in self.steps() if found else ():
            if newer > step and parallel.is_main():
                aside = self._directory.parent / "damaged" / str(newer)
                shutil.rmtree(aside, ignore_errors=True)
                aside.parent.mkdir(exist_ok=True)
                (self._directory / str(newer)).rename(aside)
        self._manager.reload()
        return found

    def restore_best(self, like):
        """`(state, meta)` of the step with the highest score of those that are whole; otherwise as `restore_newest`."""
        rank = lambda step: (self._score(step, unreadable=math.inf), step)  # first, so that it is told of
        return self._first_whole(sorted(self.steps(), key=rank, reverse=True), like)[1]

    def restore(self, step, like):
        """`(state, meta)` of `step`; `like` is a pytree of the same structure, shapes and types (`jax.eval_shape` will do).

        Raises:
          InputError: the checkpoint is of something else; the line names the first arrays that differ.
          DamagedError: it does not hold what was saved.
        """
        meta = self._read_meta(step)
        manifest = meta.pop("arrays")
        meta.pop("score")
        found = {path: entry["array"] for path, entry in manifest.items()}
        wanted = {path: _describe(x) for path, x in _leaves(like)}
        differing = [path for path in sorted({*found, *wanted}) if found.get(path) != wanted.get(path)]
        if differing:
            shown = "; ".join(f"{p} is {found.get(p, 'absent')}, not {wanted.get(p, 'absent')}" for p in differing[:3])
            raise InputError(
                f"{self._directory / str(step)} holds another model or optimizer ({len(differing)} arrays differ): {shown}; "
                "use its own config, or another --workdir"
            )
        with self._damage_told_of(step):
            target = ocp.args.StandardRestore(jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like))
            state = self._manager.restore(step, args=ocp.args.Composite(state=target))["state"]
        for path, entry in _manifest(state).items():
            if entry != manifest[path]:
                raise DamagedError(f"{self._directory / str(step)} is damaged: state{path} is not what was saved")
        return jax.tree.map(np.asarray, state), meta

    def _first_whole(self, steps, like):
        """The first of the steps that is whole, and what `restore` gives of it; `(None, None)` of no steps."""
        for step in steps:
            try:
                return step, self.restore(step, like)
            except DamagedError as error:
                say(f"{error}; trying another one")
                damage = error
        if steps:
            raise InputError(f"{damage}, and no other checkpoint is whole; give another directory to start anew")
        return None, None

    def _read_meta(self, step):
        with self._damage_told_of(step):
            meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
            seal = meta.pop("sha256")
        if seal != _seal(meta):
            raise DamagedError(f"{self._directory / str(step)} is damaged: meta is not what was saved")
        return meta

    def _score(self, step, unreadable=LOWEST):
        if step not in self._scores:
            try:
                self._scores[step] = self._read_meta(step)["score"]
            except DamagedError:
                return unreadable
        return self._scores[step]

    @contextlib.contextmanager
    def _damage_told_of(self, step):
        """Whatever orbax makes of a damaged file, as one line."""
        try:
            yield
        except Exception as error:
            _reraise_if_of_others(error)
            raise DamagedError(f"{self._directory / str(step)} is damaged: {_cause(error)}") from None

    @contextlib.contextmanager
    def _told_of(self):
        """A save that the disk did not take, as one line; what there is of it is removed."""
        try:
            yield
        except Exception as error:
            _reraise_if_of_others(error)
            step, needed = self._saving or (None, 0)
            self._saving = None
            for path in self._directory.iterdir():
                if not path.name.isdigit():
                    shutil.rmtree(path, ignore_errors=True)
            free = shutil.disk_usage(self._directory).free
            raise TrainingError(
                f"{self._directory}: step {step} could not be saved ({_cause(error)}): it needs {needed:,} bytes, {free:,} "
                "are free. Make room, and the same command goes on from the step before it"
            ) from None


class _NewestAndBest:
    """Orbax's preservation policy that keeps the newest ones and the one with the highest score."""

    def __init__(self, newest, score):
        self._newest, self._score = newest, score

    def should_preserve(self, checkpoints, *, context):
        steps = [checkpoint.step for checkpoint in checkpoints]
        best = max(steps, key=lambda step: (self._score(step), step), default=None)
        return [step == best or step in steps[-self._newest :] for step in steps]


def _reraise_if_of_others(error):
    """What another process is to blame for is neither damage nor a full disk; nor is a lack of memory or of permission."""
    if isinstance(error, (MemoryError, PermissionError)) or (
        parallel.is_shared() and isinstance(error, (RuntimeError, TimeoutError))
    ):
        raise error


def _cause(error):
    """The kind of an error and its first line."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:120]}"


def size_of(state):
    """The bytes of a pytree of arrays."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(state))


def _leaves(tree):
    """`(path, array)` of every array."""
    return [(jax.tree_util.keystr(path), x) for path, x in jax.tree_util.tree_leaves_with_path(tree)]


def _describe(x):
    return f"{np.dtype(x.dtype).name}{list(x.shape)}"


def _manifest(tree):
    """`{path: {"array": "float32[3, 3]", "sha256": of the numbers}}` of every array."""
    digest = lambda x: hashlib.sha256(np.asarray(x).tobytes()).hexdigest()
    return {path: {"array": _describe(x), "sha256": digest(x)} for path, x in _leaves(tree)}


def _seal(meta):
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _check_finite(step, state):
    for path, x in _leaves(state):
        if np.issubdtype(x.dtype, np.inexact) and not np.isfinite(x).all():
            raise TrainingError(f"step {step}: {path} is not finite; it is not saved")
