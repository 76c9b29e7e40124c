"""Mask and depth of pictures of any size, with the network of a work directory: of one pair, or of many pictures of one view.

    python -m modest.predict --workdir runs/depthnet --bg room.jpg --bg_fg room_with_person.jpg --out prediction

writes `mask.png` (0 or 255), `depth.png` (16 bit, millimetres), `depth.npy` (float32, metres) in the size of the pictures, and
`prediction.png`, all of it side by side. Where `--bg_fg` is a directory of pictures or a video, of the same view, `mask/NAME.png`
and `depth/NAME.png` are written for each, and for a video `prediction.mp4`. A network without a depth head writes no depth.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import pathlib
import sys
import time

import numpy as np
from PIL import Image

from modest import config as configs
from modest import files, frames, pictures, runtime
from modest.vocabulary import MASK_THRESHOLD, InputError

BATCH = 8  # of many pictures, how many go through the network together


def functions(model, variables, statistics):
    """What a network does with pictures of one view, all uint8 `[B,size,size,3]`, as two functions.

    `encode(bg)` -> the background's own map; `forward(bg_map, bg_fg)` -> `{"mask", "depth"}` in [0, 1], `[B,size,size]`, where the
    map is of one background for all, or of as many. Each compiles at its first call with a shape.
    """
    import jax

    from modest import models
    from modest.models import program
    from modest.preprocess import standardise, to_float

    variables = models.fold(model, variables)
    prepare = jax.jit(lambda **uint8: standardise(to_float(uint8), statistics))
    heads = lambda variables, bg_map, bg_fg: jax.tree.map(jax.nn.sigmoid, model.apply(variables, None, bg_fg, bg_map=bg_map))
    encode, forward = program.compiled(model.apply, variables), program.compiled(heads, variables)

    def of_pictures(bg_map, bg_fg):
        bg_map = bg_map if len(bg_map) == len(bg_fg) else bg_map.repeat(len(bg_fg), axis=0)
        return {head: np.asarray(x)[..., 0] for head, x in forward(bg_map, prepare(bg_fg=bg_fg)["bg_fg"]).items()}

    return lambda bg: encode(prepare(bg=bg)["bg"]), of_pictures


class Predictor:
    """The best network of a work directory, for pictures of any size."""

    def __init__(self, workdir, size=None):
        """`size` is that of the network's own pictures, in px; by default the one it was trained at last.

        Raises:
          InputError: nothing was trained there, or the network cannot work at that size.
        """
        from modest import evaluate

        config, model, best = evaluate.restore_best(workdir)
        stride = configs.STRIDES[config.model.name]
        self.size = size or config.stages[-1][0]
        if self.size < 1 or self.size % stride:
            raise InputError(f"--size={size}: {config.model.name} takes sizes that are divisible by {stride}")
        variables = {"params": best.params, "batch_stats": best.batch_stats}
        self._encode, self._forward = functions(model, variables, best.statistics)

    def __call__(self, bg, bg_fg):
        """uint8 `[H,W,3]` pictures of one size -> `{"mask": probability, "depth": in [0, 1]}`, float32 `[H,W]`."""
        ((_, _, outputs),) = self.each(bg, [("", bg_fg)], batch=1)
        return outputs

    def each(self, bg, named, batch=BATCH):
        """`(name, picture, outputs)` for every `(name, picture)`, all of the view of `bg`, `batch` of them at a time.

        Pictures are resized to the network's size and its maps back, bilinearly; the network sees the whole picture. What of it
        depends on `bg` alone is computed once. While it is at work on some pictures, those before them are being used.

        Raises:
          InputError: a picture is not of the background's size.
        """
        bg_map, named, before = self._encode(self._stack([bg], 1)).repeat(batch, axis=0), iter(named), None
        with concurrent.futures.ThreadPoolExecutor(1) as network:
            while group := list(itertools.islice(named, batch)):
                for name, picture in group:
                    check_sizes(bg, picture, name)
                outputs = network.submit(self._forward, bg_map, self._stack([picture for _, picture in group], batch))
                yield from self._finished(before)
                before = group, outputs
            yield from self._finished(before)

    def _stack(self, group, count):
        """`[count,size,size,3]`, the last one repeated where there are fewer."""
        resized = [pictures.resize(picture, (self.size, self.size)) for picture in group]
        return np.stack(resized + resized[-1:] * (count - len(resized)))

    def _finished(self, started):
        if started is None:
            return
        group, outputs = started[0], started[1].result()
        for i, (name, picture) in enumerate(group):
            yield name, picture, {head: _resize(maps[i], picture.shape[1::-1]) for head, maps in outputs.items()}


def check_sizes(bg, bg_fg, name=""):
    """Raises `InputError` where two pictures cannot show the same view."""
    if bg.shape != bg_fg.shape:
        sizes = " and ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in (bg, bg_fg))
        raise InputError(f"--bg and --bg_fg {name}".strip() + f" differ in size ({sizes} px); they must show the same view")


def _resize(x, size):
    return np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BILINEAR))


def save_maps(outputs, mask, depth):
    """Writes a prediction's mask and, where there is one, its depth as PNG; returns the paths written."""
    from modest.preprocess import to_metres

    Image.fromarray(np.where(outputs["mask"] >= MASK_THRESHOLD, 255, 0).astype(np.uint8)).save(mask)
    if "depth" not in outputs:
        return [mask]
    Image.fromarray(np.round(1000 * to_metres(outputs["depth"])).astype(np.uint16)).save(depth)
    return [mask, depth]


def write(directory, bg, bg_fg, outputs):
    """Writes the files of one pair that the module names; returns their paths."""
    from modest import report
    from modest.preprocess import to_metres

    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    written = save_maps(outputs, directory / "mask.png", directory / "depth.png")
    if "depth" in outputs:
        np.save(directory / "depth.npy", to_metres(outputs["depth"]))
        written.append(directory / "depth.npy")
    shown = {"bg": bg, "bg_fg": bg_fg} | {f"output_{head}": _to_uint8(x)[..., None] for head, x in outputs.items()}
    figure = report.predictions({"": {kind: picture[None] for kind, picture in shown.items()}})
    return [*written, report.save(figure, directory / "prediction.png")]


def write_many(directory, bg, source, predictor):
    """Writes the files of a directory's or a video's pictures; returns how many there were, and the directory."""
    import matplotlib

    directory, count, writing = pathlib.Path(directory), 0, collections.deque()
    colours = (255 * matplotlib.colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)
    with contextlib.ExitStack() as stack:
        threads = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2))
        for name, picture, outputs in predictor.each(bg, frames.ahead(frames.read(source), 2 * BATCH)):
            if not count:
                for head in outputs:
                    (directory / head).mkdir(parents=True, exist_ok=True)
                if frames.is_video(source):
                    rate = frames.frames_per_second(source)
                    video = stack.enter_context(frames.VideoWriter(directory / "prediction.mp4", rate))
            writing.append(threads.submit(save_maps, outputs, *(directory / head / f"{name}.png" for head in ("mask", "depth"))))
            if len(writing) > 2 * BATCH:
                writing.popleft().result()
            if frames.is_video(source):
                maps = [_to_uint8(outputs["mask"])[..., None].repeat(3, axis=2)]
                maps += [colours[_to_uint8(outputs["depth"])]] if "depth" in outputs else []
                video.write(np.concatenate([picture, *maps], axis=1))
            count += 1
        for one in writing:
            one.result()
    return count, directory


def _to_uint8(x):
    return np.round(255 * x).astype(np.uint8)


def main(argv=None):
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m modest.predict", description=__doc__.partition("\n")[0])
    parser.add_argument("--workdir", required=True, help="where the network was trained, such as runs/depthnet")
    parser.add_argument("--bg", required=True, help="the background, JPEG or PNG")
    parser.add_argument("--bg_fg", required=True, help="the same view with somebody in it: a picture, a directory, or a video")
    parser.add_argument("--out", required=True, help="the directory to write to")
    parser.add_argument("--size", type=int, help="the network's own size in px; by default the one it was trained at last")
    arguments = parser.parse_args(argv)
    try:
        bg = pictures.read(arguments.bg, "bg")
        many = pathlib.Path(arguments.bg_fg).is_dir() or frames.is_video(arguments.bg_fg)
        if not many:
            bg_fg = pictures.read(arguments.bg_fg, "bg_fg")
            check_sizes(bg, bg_fg)
        files.make_directory(arguments.out, "--out")
        runtime.prepare()
        predictor = Predictor(arguments.workdir, arguments.size)
        start = time.monotonic()
        if many:
            count, directory = write_many(arguments.out, bg, arguments.bg_fg, predictor)
            seconds = time.monotonic() - start
            print(f"{directory}: {count} pictures in {seconds:.1f} s, {1000 * seconds / count:.0f} ms each, compilation included")
        else:
            for path in write(arguments.out, bg, bg_fg, predictor(bg, bg_fg)):
                print(path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
