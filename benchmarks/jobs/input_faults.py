"""Mutated inputs of every reader: each must be read or refused, by one line, in time.

The inputs are read in a process of its own, which is replaced if it hangs or dies.
"""

import argparse
import collections
import io
import json
import os
import pathlib
import random
import select
import subprocess
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import OpenEXR
from PIL import ExifTags, Image

from benchmarks.jobs.training_runs import ROOT
from modest.data import images, masks, modest_layout
from modest.data.museum import preparation
from modest.data.recipe import inputs as recipe_inputs
from modest.errors import IncompleteError, InputError
from modest.inference import frames
from modest.run import config_files, configs
from modest.state import train_state, weights

LIMIT_SECONDS = 20  # for one input
SIDE = 64
TEXTS = ("txt", "json")  # a part of these may be a whole
# What has no checksum may be changed without a sign of it. Otherwise that counts as a failure.
UNCHECKED = ("jpg", "webp", "avif", "bmp", "tif", "npy", "exr", "gif", "mp4", *TEXTS)


def inputs(arguments: argparse.Namespace, work: pathlib.Path, rng: random.Random) -> None:
    """Read mutated inputs.

    Args:
      arguments: see `faults.py`.
      work: empty directory.
      rng: draws the seed of the mutations.

    Raises:
      RuntimeError: one ended in another exception than `InputError`, was read as something else in
        silence, took too long, or ended the process.
    """
    seed, number = rng.randrange(2**31), 0
    counts: collections.Counter[str] = collections.Counter()
    failed = []
    while number < arguments.inputs:
        code = f"from benchmarks.jobs import input_faults as f; f.child({str(work)!r}, {seed}, "
        command = [sys.executable, "-c", f"{code}{number}, {arguments.inputs})"]
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert child.stdout is not None
        while number < arguments.inputs:
            is_first = not counts
            ready = select.select([child.stdout], [], [], LIMIT_SECONDS * (1 + 5 * is_first))[0]
            line = child.stdout.readline() if ready else ""
            outcome = json.loads(line) if line else ["?", "hang" if not ready else "crash", ""]
            number += 1
            counts[outcome[1]] += 1
            if outcome[1] not in ("same", "refused", "changed, no checksum"):
                failed.append(outcome)
                print(f"inputs: number {number - 1}, seed {seed}: {outcome}", flush=True)
            if not line:
                break
        child.kill()
        child.communicate()
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    print(f"inputs: {arguments.inputs} mutated: {text}", flush=True)
    if failed:
        raise RuntimeError(f"inputs: {len(failed)} were neither read nor refused in one line")


def child(work: str, seed: int, first: int, end: int) -> None:
    """Read the inputs `first` to `end`; print `[reader, outcome, details]` of each as JSON."""
    directory = pathlib.Path(work)
    outcomes = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the readers print does not belong to the outcomes
    readers = _readers(directory)
    expected = {name: _outcome(read, data)[1] for name, (read, data) in readers.items()}
    for number in range(first, end):
        rng = random.Random(f"{seed} {number}")
        name = list(readers)[number % len(readers)]
        read, data = readers[name]
        kind, mutated = mutate(data, rng)
        outcome, value = _outcome(read, mutated)
        if outcome == "read":
            outcome = "same" if value == expected[name] else "changed"
        suffix = name.split()[-1]
        if outcome == "changed" and suffix in UNCHECKED and (kind != "cut" or suffix in TEXTS):
            outcome = "changed, no checksum"
        print(json.dumps([f"{name}: {kind}", outcome, str(value)[:300]]), file=outcomes, flush=True)


def mutate(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return how the data are changed, and the changed data."""
    kind = rng.choice(("flip", "cut", "delete", "repeat", "overwrite", "insert"))
    start = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(64, len(data)))
    length = rng.choice((1, 2, 4, 16, 200))
    part = data[start : start + length]
    noise = bytes(rng.choice((0, 255, rng.randrange(256))) for _ in range(length))
    if kind == "flip":
        flipped = bytes([data[start] ^ 1 << rng.randrange(8)])
        return kind, data[:start] + flipped + data[start + 1 :]
    if kind == "cut":
        return kind, data[:start]
    if kind == "delete":
        return kind, data[:start] + data[start + length :]
    if kind == "repeat":
        return kind, data[:start] + part + data[start:]
    if kind == "overwrite":
        return kind, data[:start] + noise[: len(part)] + data[start + length :]
    return kind, data[:start] + noise + data[start:]


def _outcome(read, data):
    """Return `read` and a comparable value; `refused` or `traceback`, and the error."""
    try:
        return "read", read(data)
    except (InputError, IncompleteError) as error:
        lines = str(error).count("\n")
        listed = str(error).count("\n  ")  # a list of mistakes has a line for each
        return ("refused" if lines == listed else "more than one line"), str(error)
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {error}"


def _readers(work: pathlib.Path) -> dict[str, tuple[Callable[[bytes], Any], bytes]]:
    """Return `{name: (function of bytes, bytes)}`; the last word of a name is a suffix."""
    draw = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(SIDE), np.arange(SIDE))
    grey = (smooth + draw.integers(0, 40, (SIDE, SIDE))).astype(np.uint8)
    colour = np.dstack([grey, grey[::-1], grey.T])
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10:40, 20:50] = 255
    reading = masks.Reading()
    size = (SIDE // 2, SIDE // 2)

    def encode(array, form, **options):
        stream = io.BytesIO()
        Image.fromarray(array).save(stream, form, **options)
        return stream.getvalue()

    def value(*arrays):
        return [(x.shape, str(x.dtype), x.tobytes().hex()) for x in arrays]

    def from_file(suffix, read):
        def read_file(data):
            path = work / f"input.{suffix}"
            path.write_bytes(data)
            return read(path)

        return read_file

    found: dict[str, tuple[Callable[[bytes], Any], bytes]] = {}

    def picture(data):
        return value(images.read(data, "bg", name="x"))

    forms = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}
    forms |= {"avif": "AVIF"} if "AVIF" in images.FORMATS else {}
    for suffix, form in forms.items():
        found[f"picture {suffix}"] = picture, encode(colour, form)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    for suffix in ("jpg", "png", "webp"):
        found[f"turned picture {suffix}"] = picture, encode(colour, forms[suffix], exif=turned)
    found["reduced picture jpg"] = (
        lambda d: value(images.read(d, "bg", size, "x")),
        encode(colour, "JPEG"),
    )
    for suffix in ("jpg", "png", "tif"):
        form = forms[suffix]
        found[f"mask {suffix}"] = (
            lambda d: value(masks.read(d, "x", reading)[0]),
            encode(mask, form),
        )
        found[f"depth {suffix}"] = (
            lambda d: value(*images.read_depth(d, 0, name="x")),
            encode(grey, form),
        )
    binary = encode(mask // 255, "PNG")
    values = masks.find([(binary, "x")], "x")
    found["mask of 0 and 1 png"] = lambda d: value(masks.read(d, "x", values)[0]), binary
    rgba = np.dstack([colour, mask])
    cutout = encode(np.dstack([255 - 0 * colour, mask]), "PNG")
    alpha = masks.find([(cutout, "x")], "x")
    found["mask in alpha png"] = lambda d: value(masks.read(d, "x", alpha)[0]), cutout
    found["cut-out png"] = lambda d: value(images.read_cutout(d, "x")), encode(rgba, "PNG")

    def depth_map(path):
        return value(recipe_inputs.depth_map(path))

    deep = grey.astype(np.uint16) * 200
    npy, npz = io.BytesIO(), io.BytesIO()
    np.save(npy, deep.astype(np.float32))
    np.savez_compressed(npz, depth=deep.astype(np.float32))
    found["depth map npy"] = from_file("npy", depth_map), npy.getvalue()
    found["depth map npz"] = from_file("npz", depth_map), npz.getvalue()
    found["depth map png"] = from_file("png", depth_map), encode(deep, "PNG")
    found["depth map tif"] = from_file("tif", depth_map), encode(deep.astype(np.float32), "TIFF")
    exr = work / "depth.exr"
    OpenEXR.File({}, {"Z": deep.astype(np.float32)}).write(str(exr))
    found["depth map exr"] = from_file("exr", depth_map), exr.read_bytes()
    lines = "".join(f"b{k}\tb{k}_f{k}_1\tb{k}_f{k}_1_m\t-\n" for k in range(9))

    def entries(files):
        listed, mistakes = modest_layout.entries(files)
        if mistakes:
            raise InputError(modest_layout.summarise_mistakes(mistakes))
        return [str(entry) for entry in listed]

    def file_map(path):
        return entries(modest_layout.open_files(path.parent))

    (work / "map").mkdir(exist_ok=True)
    found["map lines txt"] = _in_directory(work / "map", file_map), lines.encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("file_map.txt", lines)
        file.writestr("bg/b1.png", encode(colour, "PNG"))
        file.writestr("bg/b2.jpg", encode(colour, "JPEG"))

    def members(path):
        files = modest_layout.open_files(path)
        names = sorted(sum(files.pictures("bg").values(), []))
        return entries(files) + names + [files.read(f"bg/{name}").hex() for name in names]

    found["zip zip"] = from_file("zip", members), archive.getvalue()

    def video(path):
        clip = frames.Clip()
        read = [value(picture) for _, picture in frames.read(path, clip)]
        clip.check(path)
        return read

    with frames.VideoWriter(work / "clip.mp4", 10) as writer:
        for shift in range(6):
            writer.write(np.roll(colour, 3 * shift, axis=1))
    found["video mp4"] = from_file("mp4", video), (work / "clip.mp4").read_bytes()
    gif = [Image.fromarray(np.roll(colour, 3 * shift, axis=1)) for shift in range(6)]
    gif[0].save(work / "clip.gif", save_all=True, append_images=gif[1:], duration=100)
    found["video gif"] = from_file("gif", video), (work / "clip.gif").read_bytes()

    builder = _prepare(work / "set", work / "prepared", encode(colour, "PNG"), encode(mask, "PNG"))
    split = next(iter(builder.info.splits))
    shard = pathlib.Path(builder.info.splits[split].filepaths[0])

    def stored(data):
        shard.write_bytes(data)
        return [
            sorted((k, str(v)) for k, v in x.items()) for x in preparation.source(builder, split)
        ]

    found["prepared shard array_record"] = stored, shard.read_bytes()

    def network(path):
        state = weights.load(path).state
        return value(*(np.asarray(x) for x in jax.tree.leaves((state.params, state.batch_stats))))

    found["weights safetensors"] = from_file("safetensors", network), _masknet(work)

    def config(path):
        return str(configs.load(path.parent))

    (work / "run").mkdir(exist_ok=True)
    text = json.dumps(config_files.load("masknet").to_dict())
    found["config json"] = _in_directory(work / "run", config, configs.FILE), text.encode()
    return found


def _prepare(directory, prepared_dir, picture, mask):
    """Prepare a data set of nine composites with one picture, and return its builder."""
    lines = []
    for k in range(9):
        names = f"b{k}", f"b{k}_f{k}_1", f"b{k}_f{k}_1_mask", "-"
        for kind, name in zip(("bg", "bg_fg", "bg_fg_mask"), names):
            (directory / kind).mkdir(parents=True, exist_ok=True)
            (directory / kind / f"{name}.png").write_bytes(mask if "mask" in name else picture)
        lines.append("\t".join(names) + "\n")
    (directory / modest_layout.FILE_MAP).write_text("".join(lines))
    return preparation.prepare("folder", directory=str(directory), prepared_dir=str(prepared_dir))


def _masknet(directory):
    """Return the weights of an untrained MaskNet as bytes."""
    config = config_files.load("masknet")
    created = train_state.create(config, total_steps=1, steps_per_epoch=1)
    path = directory / "masknet.safetensors"
    weights.save(path, weights.Trained(config, created.model, created.init()), made_by={})
    return path.read_bytes()


def _in_directory(directory, read, name=modest_layout.FILE_MAP):
    def read_map(data):
        path = directory / name
        path.write_bytes(data)
        return read(path)

    return read_map
