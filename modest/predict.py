"""Mask and depth of one pair of pictures, of any size, with the network of a work directory.

    python -m modest.predict --workdir runs/depthnet --bg room.jpg --bg_fg room_with_person.jpg --out prediction

writes `mask.png` (0 or 255), `depth.png` (16 bit, millimetres), `depth.npy` (float32, metres) in the size of the pictures, and
`prediction.png`, all of it side by side. A network without a depth head writes no depth.
"""

import argparse
import pathlib
import sys

import numpy as np
from PIL import Image

from modest import pictures, runtime
from modest.vocabulary import MASK_THRESHOLD, InputError


class Predictor:
    """The best network of a work directory, compiled for one pair at the size it was trained at."""

    def __init__(self, workdir):
        """Raises `InputError` where nothing was trained."""
        import jax

        from modest import evaluate, state
        from modest.preprocess import to_float

        config, model, best = evaluate.restore_best(workdir)
        self.size = config.stages[-1][0]

        def forward(bg, bg_fg):
            batch = to_float({"bg": bg[None], "bg_fg": bg_fg[None]})
            outputs, _ = state.forward(model, best, best.params, batch, train=False)
            return {head: jax.nn.sigmoid(logits[0]) for head, logits in outputs.items()}

        self._forward = jax.jit(forward)

    def __call__(self, bg, bg_fg):
        """uint8 `[H,W,3]` pictures of one size -> `{"mask": probability, "depth": in [0, 1]}`, float32 `[H,W]`.

        Both are resized to the size of training and the maps back, bilinearly; the network sees the whole picture.
        """
        square = (self.size, self.size)
        outputs = self._forward(pictures.resize(bg, square), pictures.resize(bg_fg, square))
        height, width = bg.shape[:2]
        resize = lambda x: np.asarray(Image.fromarray(x).resize((width, height), Image.Resampling.BILINEAR))
        return {head: resize(np.asarray(output[..., 0])) for head, output in outputs.items()}


def write(directory, bg, bg_fg, outputs):
    """Writes the files that the module names; returns their paths."""
    from modest import report
    from modest.preprocess import to_metres

    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    mask = outputs["mask"] >= MASK_THRESHOLD
    Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(directory / "mask.png")
    written = [directory / "mask.png"]
    shown = {"bg": bg, "bg_fg": bg_fg, "output_mask": np.round(255 * outputs["mask"]).astype(np.uint8)[..., None]}
    if "depth" in outputs:
        metres = to_metres(outputs["depth"])
        Image.fromarray(np.round(1000 * metres).astype(np.uint16)).save(directory / "depth.png")
        np.save(directory / "depth.npy", metres)
        written += [directory / "depth.png", directory / "depth.npy"]
        shown["output_depth"] = np.round(255 * outputs["depth"]).astype(np.uint8)[..., None]
    figure = report.predictions({"": {kind: picture[None] for kind, picture in shown.items()}})
    return [*written, report.save(figure, directory / "prediction.png")]


def main(argv=None):
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m modest.predict", description=__doc__.partition("\n")[0])
    parser.add_argument("--workdir", required=True, help="where the network was trained, such as runs/depthnet")
    parser.add_argument("--bg", required=True, help="the background, JPEG or PNG")
    parser.add_argument("--bg_fg", required=True, help="the same view with somebody in it, of the same size")
    parser.add_argument("--out", required=True, help="the directory to write to")
    arguments = parser.parse_args(argv)
    try:
        bg, bg_fg = pictures.read(arguments.bg, "bg"), pictures.read(arguments.bg_fg, "bg_fg")
        if bg.shape != bg_fg.shape:
            sizes = " and ".join(f"{p.shape[1]} x {p.shape[0]}" for p in (bg, bg_fg))
            raise InputError(f"--bg and --bg_fg differ in size ({sizes} px); they must show the same view")
        runtime.prepare()
        for path in write(arguments.out, bg, bg_fg, Predictor(arguments.workdir)(bg, bg_fg)):
            print(path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
