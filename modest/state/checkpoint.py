"""Checkpoints of any pytree with orbax, in `<directory>/<step>/`. Keeps the newest and the best.

Arrays are saved as NumPy arrays, so a checkpoint does not depend on the number of devices. Orbax
commits a step by a rename, so an interrupted save is never listed.

Beside the state, a checkpoint holds `meta`, a dict of JSON values. It contains the shape, dtype and
SHA-256 of every array, and a SHA-256 of `meta` itself. They are checked when a checkpoint is read,
because orbax returns corrupted arrays without an error.
"""

import contextlib
import math
import pathlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Self

import jax
import numpy as np
import orbax.checkpoint as ocp

from modest.errors import InputError, TrainingError
from modest.run import devices
from modest.run.logbook import say
from modest.state.manifest import (
    check_finite,
    check_same_arrays,
    describe_arrays,
    digest_of_json,
    size_of,
)
from modest.types import PyTree

# Score of a checkpoint that must never be the best. Finite, because JSON has no infinity.
LOWEST = -sys.float_info.max


class DamagedError(Exception):
    """A checkpoint does not hold what was saved. The message is one line that names the file."""


class Checkpoints:
    """The checkpoints in one directory. A context manager, whose end waits for a save."""

    def __init__(self, directory: str | pathlib.Path, keep: int | None = None) -> None:
        """Open the directory.

        Args:
          directory: holds one subdirectory per step.
          keep: None to read only. A number to write too: that many of the newest checkpoints are
            kept, besides the one with the highest score, and what an interrupted save left behind
            is removed. Only one process may write.
        """
        self._directory = pathlib.Path(directory).resolve()
        self._scores: dict[int, float] = {}
        self._saving: tuple[int, int] | None = None  # step in flight, and its size in bytes
        writes = keep is not None
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_NewestAndBest(keep, self._score) if writes else None,
            create=writes,
            cleanup_tmp_directories=writes,
            lightweight_initialize=True,  # does not read files, which may be damaged
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.wait()
        finally:
            self._manager.close()

    def steps(self) -> list[int]:
        """Return the steps on disk in ascending order."""
        return sorted(self._manager.all_steps())

    def latest(self) -> int | None:
        """Return the newest step, or None."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """Return the step with the highest score, or None. Of equal scores, the newest step counts.

        Waits for a running save.
        """
        self.wait()
        return max(self.steps(), key=self._rank, default=None)

    def save(self, step: int, state: PyTree, meta: dict[str, Any], score: float = math.nan) -> None:
        """Save `state` in the background.

        The newest step may be saved again, with another `meta`. Until that save is finished, the
        step before it is the newest.

        Args:
          step: number of the checkpoint.
          state: pytree of arrays.
          meta: JSON values to save beside it.
          score: higher is better; a checkpoint with a score of NaN is never the best.

        Raises:
          TrainingError: a number in `state` is not finite, or the disk is full. Checkpoints of
            other steps are not affected.
        """
        state = jax.tree.map(np.asarray, state)
        check_finite(step, state)
        score = float(score) if math.isfinite(score) else LOWEST
        meta = dict(meta) | {"score": score, "arrays": describe_arrays(state)}
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            meta=ocp.args.JsonSave(meta | {"sha256": digest_of_json(meta)}),
        )
        self.wait()
        if step == self.latest():
            self._manager.delete(step)
        self._saving, self._scores[step] = (step, size_of(state)), score
        with self._failed_save_as_one_line():
            saved = self._manager.save(step, args=items)
        if not saved:
            raise RuntimeError(
                f"{self._directory}: step {step} was not saved; the newest step is {self.latest()}"
            )

    def wait(self) -> None:
        """Wait for a running save. Raises `TrainingError` if it failed."""
        with self._failed_save_as_one_line():
            self._manager.wait_until_finished()
        self._saving = None

    def restore_newest(self, like: PyTree) -> tuple[PyTree, dict[str, Any]] | None:
        """Return `(state, meta)` of the newest intact step, or None if there is no step.

        Damaged steps that are newer are reported, and moved to the directory `damaged` beside this
        one, so that they can be saved again.

        Raises:
          InputError: there are steps, but none is intact; or a checkpoint belongs to another model
            or optimizer.
        """
        step, found = self._first_intact(sorted(self.steps(), reverse=True), like)
        for newer in self.steps() if found else ():
            if newer > step and devices.is_main():
                aside = self._directory.parent / "damaged" / str(newer)
                shutil.rmtree(aside, ignore_errors=True)
                aside.parent.mkdir(exist_ok=True)
                (self._directory / str(newer)).rename(aside)
        self._manager.reload()
        return found

    def restore_best(self, like: PyTree) -> tuple[PyTree, dict[str, Any]] | None:
        """Return `(state, meta)` of the intact step with the highest score, or None.

        Raises:
          InputError: in the same cases as in `restore_newest`.
        """
        steps = sorted(self.steps(), key=self._rank_unreadable_first, reverse=True)
        return self._first_intact(steps, like)[1]

    def restore(self, step: int, like: PyTree) -> tuple[PyTree, dict[str, Any]]:
        """Return `(state, meta)` of a step.

        Args:
          step: number of the checkpoint.
          like: a pytree of the same structure, shapes and dtypes, such as `jax.eval_shape` returns.

        Raises:
          InputError: the checkpoint belongs to another model or optimizer; the message names the
            first arrays that differ.
          DamagedError: it does not hold what was saved.
        """
        path = self._directory / str(step)
        meta = self._read_meta(step)
        manifest = meta.pop("arrays")
        meta.pop("score")
        check_same_arrays(path, {name: entry["array"] for name, entry in manifest.items()}, like)
        with self._any_error_as_damage(step):
            zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
            items = ocp.args.Composite(state=ocp.args.StandardRestore(zeros))
            state = self._manager.restore(step, args=items)["state"]
        for name, entry in describe_arrays(state).items():
            if entry != manifest[name]:
                raise DamagedError(f"{path} is damaged: state{name} is not what was saved")
        return jax.tree.map(np.asarray, state), meta

    def _first_intact(self, steps, like):
        """Return the first intact step of `steps` and its `(state, meta)`.

        Returns `(None, None)` if `steps` is empty.
        """
        for step in steps:
            try:
                return step, self.restore(step, like)
            except DamagedError as error:
                say(f"{error}; trying another one")
                damage = error
        if steps:
            raise InputError(
                f"{damage}, and no other checkpoint is intact; give another directory to start anew"
            )
        return None, None

    def _read_meta(self, step):
        with self._any_error_as_damage(step):
            items = ocp.args.Composite(meta=ocp.args.JsonRestore())
            meta = self._manager.restore(step, args=items)["meta"]
            digest = meta.pop("sha256")
        if digest != digest_of_json(meta):
            raise DamagedError(
                f"{self._directory / str(step)} is damaged: meta is not what was saved"
            )
        return meta

    def _rank(self, step):
        return self._score(step), step

    def _rank_unreadable_first(self, step):
        # Unreadable steps come first in `restore_best`, so that the damage is reported.
        return self._score(step, unreadable=math.inf), step

    def _score(self, step, unreadable=LOWEST):
        if step not in self._scores:
            try:
                self._scores[step] = self._read_meta(step)["score"]
            except DamagedError:
                return unreadable
        return self._scores[step]

    @contextlib.contextmanager
    def _any_error_as_damage(self, step: int) -> Iterator[None]:
        """Turn any error that orbax raises for a damaged file into a `DamagedError` of one line."""
        try:
            yield
        except Exception as error:
            _reraise_unrelated(error)
            raise DamagedError(
                f"{self._directory / str(step)} is damaged: {_first_line(error)}"
            ) from None

    @contextlib.contextmanager
    def _failed_save_as_one_line(self) -> Iterator[None]:
        """Turn a failed save into a `TrainingError` of one line, and remove what it left behind."""
        try:
            yield
        except Exception as error:
            _reraise_unrelated(error)
            step, needed = self._saving or (None, 0)
            self._saving = None
            for path in self._directory.iterdir():
                if not path.name.isdigit():
                    shutil.rmtree(path, ignore_errors=True)
            free = shutil.disk_usage(self._directory).free
            raise TrainingError(
                f"{self._directory}: step {step} could not be saved ({_first_line(error)}): it "
                f"needs {needed:,} bytes, {free:,} are free. Make room, and run the same command "
                "again to resume from the step before it"
            ) from None


class _NewestAndBest:
    """Orbax preservation policy: the `newest` last steps, and the one with the highest score."""

    def __init__(self, newest, score):
        self._newest, self._score = newest, score

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        best = max(steps, key=lambda step: (self._score(step), step), default=None)
        return [step == best or step in steps[-self._newest :] for step in steps]


def _reraise_unrelated(error):
    """Re-raise errors that are neither damage nor a full disk.

    These are a lack of memory or of permission, and the failure of another process.
    """
    peer_failed = devices.is_distributed() and isinstance(error, (RuntimeError, TimeoutError))
    if peer_failed or isinstance(error, (MemoryError, PermissionError)):
        raise error


def _first_line(error):
    """Return the type of an error and the first line of its message."""
    message = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {message[:120]}"
