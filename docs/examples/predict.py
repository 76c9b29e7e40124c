"""Predict mask and depth for one pair of pictures.

The script draws the pair like the embedded data set, so that no file is needed. The seed differs
from that of the training, so the network has seen neither the room nor the person. For pictures of
your own, call `images.read("room.jpg", "bg")` and `images.read("person.jpg", "bg_fg")`.

Prints the share of foreground and the median depth. Writes `mask.png`, `depth.png`, `depth.npy` and
`prediction.png` to `--out`. Run `train.py` first. This script takes about 5 s on two CPU cores.

    python docs/examples/predict.py
"""

import argparse
from collections.abc import Sequence

import numpy as np

from modest.constants import MASK_THRESHOLD
from modest.data import images
from modest.data.synthetic import dataset
from modest.inference import fitting, output
from modest.inference.predict import Predictor
from modest.preprocess import to_metres
from modest.run import runtime


def draw_pair(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a background and the same view with a person in it, uint8 `[size,size,3]`."""
    museum = dataset.SyntheticMuseum(seed, rooms=1, people=1, size=size, figure_height=size // 2)
    room, person = dataset.room(museum, 0), dataset.person(museum, 0)
    background = dataset.background(museum, 0, room)
    composite = next(dataset.composites(museum, room, 0, person, 0))
    return images.read(background["picture"], "bg"), images.read(composite["bg_fg"], "bg_fg")


def main(argv: Sequence[str] | None = None) -> None:
    """Draw a pair, predict, and write the prediction."""
    parser = argparse.ArgumentParser(description="Predict mask and depth for a drawn pair.")
    parser.add_argument("--workdir", default="runs/example", help="directory of the run")
    parser.add_argument("--out", default="runs/example/prediction", help="directory to write to")
    parser.add_argument("--seed", type=int, default=7, help="seed of the room and the person")
    parser.add_argument("--size", type=int, default=224, help="size of the pictures in px")
    options = parser.parse_args(argv)
    runtime.prepare()

    bg, bg_fg = draw_pair(options.seed, options.size)
    predictor = Predictor(options.workdir)  # restores the best checkpoint
    # Makes the background fit first, if need be; `predictor(bg, bg_fg)` does not, and returns maps.
    (result,) = fitting.predictions(predictor, bg, [("drawn", bg_fg)], batch=1)
    maps = result.maps  # {"mask", "depth"}, float32 [H,W] in [0, 1]

    foreground = maps["mask"] >= MASK_THRESHOLD
    print(f"foreground: {foreground.mean():.1%} of the picture")
    if "depth" in maps:  # MaskNet predicts none
        print(f"median depth: {np.median(to_metres(maps['depth'])):.2f} m")
    for path in output.write_pair(options.out, bg, result):
        print(path)


if __name__ == "__main__":
    main()
