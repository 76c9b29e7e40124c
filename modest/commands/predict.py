"""`python -m modest predict`: mask and depth of a pair of pictures, a directory, or a video.

`--bg` is the background. `--bg_fg` is the same view with somebody in it: a picture, a directory of
pictures, or a video. Depth is written only if the network has a depth head.

For one picture, the output directory holds `mask.png` (0 or 255), `depth.png` (16 bit,
millimetres), `depth.npy` (float32, metres), all in the size of the pictures, and `prediction.png`,
which shows them side by side; and `unknown.png`, 255 where an aligned background does not reach, if
there is such a part. For many pictures it holds `mask/NAME.png`, `depth/NAME.png` and
`unknown/NAME.png`, and for a video also `prediction.mp4`. `alignment.json` says how the background
was made to fit and how well it does; it also marks the directory, in which results of an earlier
run are replaced. Pictures of a directory that cannot be used are named at the end, with exit status
1. A background that shows another view is an error, with exit status 1.
"""

import pathlib
import time

from modest.commands import process
from modest.errors import IncompleteError, InputError, MismatchError

LOCK = ".predict.lock"
MAX_SIZE = 4096  # px; the memory of the network grows with its square


def main(argv: list[str]) -> None:
    """Write the predictions and print what was written.

    Raises:
      InputError: a picture, the work directory or an option cannot be used.
      MismatchError: the background shows another view than the only picture.
      IncompleteError: some of many pictures cannot be used, or show another view; the results of
        all others, and of those of another view, are written.
    """
    options = _parser().parse_args(argv)
    process.set_max_pixels(options.max_pixels)
    from modest.data import images

    if options.size and options.size > MAX_SIZE:
        raise InputError(f"--size={options.size}: at most {MAX_SIZE} px")
    from modest.inference import frames
    from modest.run import files, runtime

    bg = images.read(options.bg, "bg")
    is_sequence = pathlib.Path(options.bg_fg).is_dir() or frames.is_video(options.bg_fg)
    if is_sequence:
        frames.check(options.bg_fg)
    else:
        bg_fg = images.read(options.bg_fg, "bg_fg")
        images.check_pair(bg, bg_fg)
    files.make_directory(options.out, "--out")
    runtime.prepare()
    from modest.inference import output_directory, predict  # imports JAX

    runtime.check_platforms()
    output_directory.check(options.out, options.bg, options.bg_fg)  # writes nothing
    with files.lock(pathlib.Path(options.out) / LOCK, "predicting into"):
        output_directory.check(options.out, options.bg, options.bg_fg)
        predictor = predict.Predictor(options.workdir, options.size)
        if is_sequence:
            _predict_sequence(options, bg, predictor)
        else:
            _predict_pair(options, bg, bg_fg, predictor)


def _predict_sequence(options, bg, predictor):
    from modest.data import images, picture_files
    from modest.inference import fitting, frames, output

    start = time.monotonic()
    reports, clip = output.write_sequence(
        options.out, bg, options.bg_fg, predictor, options.align, options.align_each
    )
    seconds = time.monotonic() - start
    per_picture = f"{1000 * seconds / len(reports):.0f} ms each, compilation included"
    print(f"{options.out}: {len(reports)} pictures in {seconds:.1f} s, {per_picture}")
    print(fitting.summarise(reports))
    if left_out := picture_files.passed_over(options.bg_fg, frames.PICTURES):
        hint = images.missing_package(pathlib.Path(options.bg_fg).iterdir())
        print("; ".join(filter(None, (left_out, hint))))
    problems = [clip.problem(options.bg_fg)]
    misfits = [name for name, report in reports.items() if not fitting.fits(report)]
    if misfits and options.on_mismatch == "stop":
        hint = ". If the camera moved between the pictures, add --align_each"
        problems.append(
            f"{options.bg} does not show the view of {len(misfits)} of {len(reports)} pictures: "
            f"{', '.join(misfits[:5])}{' ...' * (len(misfits) > 5)}; {options.out} holds their "
            f"results all the same{'' if options.align_each else hint}"
        )
    if any(problems):
        raise IncompleteError("; ".join(filter(None, problems)))


def _predict_pair(options, bg, bg_fg, predictor):
    from modest.inference import fitting, output

    if (bg == bg_fg).all():
        print("--bg and --bg_fg are the same picture: there is no foreground")
    named = [(pathlib.Path(options.bg_fg).name, bg_fg)]
    (result,) = fitting.predictions(predictor, bg, named, options.align, batch=1)
    if not fitting.fits(result.report) and options.on_mismatch == "stop":
        raise MismatchError(
            f"{options.bg} does not show the view of {options.bg_fg}: mismatch "
            f"{result.report['mismatch']:.2f}, at most {fitting.LIMIT} fits; nothing is written. "
            "Give the background of this view, or --on_mismatch continue"
        )
    for path in output.write_pair(options.out, bg, result):
        print(path)
    print(fitting.summarise({result.name: result.report}))


def _parser():
    parser = process.parser("predict", __doc__)
    help_ = "directory of a run, a file of weights, or those in the package: modest or modest_small"
    parser.add_argument("--workdir", default="modest", help=f"{help_} (default: modest)")
    parser.add_argument("--bg", required=True, help="the background, a picture")
    parser.add_argument("--bg_fg", required=True, help="a picture, a directory, or a video")
    parser.add_argument("--out", required=True, help="directory to write to")
    help_ = (
        "size in px at which the network runs; memory grows with its square "
        f"(default: that of the last stage of its training; at most {MAX_SIZE})"
    )
    parser.add_argument("--size", type=int, help=help_)
    help_ = "make the background fit the picture: if it does not (auto), in any case, or never"
    parser.add_argument("--align", choices=("auto", "always", "off"), default="auto", help=help_)
    help_ = "fit the background to each of many pictures, not once to the first one of its view"
    parser.add_argument("--align_each", action="store_true", help=help_)
    help_ = "what to do if the background shows another view"
    parser.add_argument("--on_mismatch", choices=("stop", "continue"), default="stop", help=help_)
    process.add_max_pixels(parser)
    return parser
