"""`Predictor`: a trained network for pictures of any size."""

import concurrent.futures
import itertools
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from PIL import Image

from modest import kernels, models
from modest.data import images
from modest.errors import InputError
from modest.preprocess import standardise, to_float
from modest.state.restore import restore
from modest.types import Batch, PyTree

BATCH = 8  # pictures of a sequence that go through the network together

Maps = dict[str, np.ndarray]  # {"mask", "depth"} in [0, 1]
DeviceMaps = dict[str, jax.Array]  # the same, on JAX's device


class Network(NamedTuple):
    """A network in two parts, so that a fixed background is encoded once.

    All pictures are uint8 `[B,size,size,3]`. Each function compiles when it first sees a shape.
    """

    encode: Callable[[np.ndarray], Any]  # background -> its feature maps
    forward: Callable[[Any, np.ndarray], DeviceMaps]  # feature maps, pictures -> [B,size,size,1]


def create_network(model: nn.Module, variables: PyTree, statistics: PyTree) -> Network:
    """Return the compiled network for prediction.

    Args:
      model: the network.
      variables: its `params` and `batch_stats`.
      statistics: mean and standard deviation of the training pictures, see
        `preprocess.standardise`.
    """
    variables = models.fold(model, variables)

    @jax.jit
    def prepare(**pictures: np.ndarray) -> Batch:
        return standardise(to_float(pictures), statistics)

    def probabilities(variables: PyTree, bg_map: Any, bg_fg: Any) -> PyTree:
        logits = model.apply(variables, None, bg_fg, bg_map=bg_map)
        return jax.tree.map(jax.nn.sigmoid, logits)

    compiled_encode = kernels.compile(model.apply, variables)
    compiled_forward = kernels.compile(probabilities, variables)

    def encode(bg: np.ndarray) -> Any:
        return compiled_encode(prepare(bg=bg)["bg"])

    def forward(bg_map: Any, bg_fg: np.ndarray) -> DeviceMaps:
        count = len(bg_fg)
        if len(jax.tree.leaves(bg_map)[0]) != count:  # one background for all pictures
            bg_map = jax.tree.map(lambda x: x.repeat(count, axis=0), bg_map)
        return compiled_forward(bg_map, prepare(bg_fg=bg_fg)["bg_fg"])

    return Network(encode, forward)


class Predictor:
    """A trained network, for pictures of any size.

    Pictures are resized to the size of the network, and its maps are resized back, bilinearly.

        predictor = Predictor()  # the weights in the package; or Predictor("runs/depthnet")
        maps = predictor(bg, bg_fg)  # uint8 [H,W,3] each -> {"mask", "depth"}: float32 [H,W]
    """

    def __init__(self, workdir: str | pathlib.Path = "modest", size: int | None = None) -> None:
        """Restore the network.

        Args:
          workdir: directory of a run, or another source of a trained network, see
            `restore.restore`. By default the weights in the package.
          size: picture size in px at which the network runs; by default that of the last stage of
            its training.

        Raises:
          InputError: nothing was trained there, or the network cannot run at that size.
        """
        trained = restore(workdir)
        name, stride = trained.config.model.name, trained.model.stride
        self.size: int = trained.config.stages[-1][0] if size is None else size
        if self.size < 1 or self.size % stride:
            raise InputError(
                f"--size={size}: {name} takes sizes above 0 that are divisible by {stride}"
            )
        state = trained.state
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        self._network = create_network(trained.model, variables, state.statistics)

    def __call__(self, bg: np.ndarray, bg_fg: np.ndarray) -> Maps:
        """Predict one pair.

        Args:
          bg: the background, uint8 `[H,W,3]`.
          bg_fg: the same view with somebody in it, of the same size.

        Returns:
          `{"mask": probability, "depth": distance / 10 m}`, float32 `[H,W]` in [0, 1].

        Raises:
          InputError: a picture is not uint8 `[H,W,3]`, or the two differ in size.
        """
        ((_, _, maps),) = self.sequence(bg, [("", bg_fg)], batch=1)
        return maps

    def sequence(
        self, bg: np.ndarray, named: Iterable[tuple[str, np.ndarray]], batch: int = BATCH
    ) -> Iterator[tuple[str, np.ndarray, Maps]]:
        """Predict many pictures of one view; the background is encoded once.

        The network runs in a thread, so that the caller can use one batch of results while the
        next one is computed.

        Args:
          bg: the background, uint8 `[H,W,3]`.
          named: pairs `(name, picture)`; pictures are uint8 `[H,W,3]`.
          batch: number of pictures that go through the network together.

        Yields:
          `(name, picture, maps)` for each picture in order; `maps` as `__call__` returns them.

        Raises:
          InputError: a picture is not uint8 `[H,W,3]`, or differs from the background in size.
        """
        images.check_picture(bg, "bg")
        encoded = self._network.encode(self._stack([bg], 1))
        bg_map = jax.tree.map(lambda x: x.repeat(batch, axis=0), encoded)
        # Of this thread; the other one has its own.
        device = jax.config.jax_default_device  # type: ignore[attr-defined]

        def forward(pictures):
            with jax.default_device(device):
                maps = self._network.forward(bg_map, pictures)
                return {head: np.asarray(x)[..., 0] for head, x in maps.items()}

        named, before = iter(named), None
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            while group := list(itertools.islice(named, batch)):
                for name, picture in group:
                    images.check_pair(bg, picture, name)
                pictures = self._stack([picture for _, picture in group], batch)
                running = thread.submit(forward, pictures)
                yield from _results(before)
                before = group, running
            yield from _results(before)

    def _stack(self, pictures, count):
        """Resize to `[count,size,size,3]`; repeat the last picture if there are fewer."""
        resized = [images.resize(picture, (self.size, self.size)) for picture in pictures]
        return np.stack(resized + resized[-1:] * (count - len(resized)))


def _results(submitted):
    """Yield the results of a batch, resized to the size of its pictures.

    `submitted` is the `(group, future)` of a batch that was given to the thread, or None.
    """
    if submitted is None:
        return
    group, running = submitted
    outputs = running.result()
    for i, (name, picture) in enumerate(group):
        size = picture.shape[1::-1]
        yield name, picture, {head: _resize(maps[i], size) for head, maps in outputs.items()}


def _resize(x, size):
    return np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BILINEAR))
