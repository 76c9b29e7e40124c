"""The readers whose inputs `input_faults.py` mutates, each with a good input."""

import io
import json
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from PIL import ExifTags, Image

from modest.data import images, masks, modest_layout
from modest.data.museum import preparation
from modest.data.recipe import inputs as recipe_inputs
from modest.errors import InputError
from modest.inference import frames
from modest.inference.clip import Clip
from modest.inference.video_writer import VideoWriter
from modest.run import config_files, configs
from modest.state import train_state, weights

Readers = dict[str, tuple[Callable[[bytes], Any], bytes]]

SIDE = 64  # px of the pictures
GREY = np.add.outer(np.arange(SIDE), np.arange(SIDE))
GREY = (GREY + np.random.default_rng(0).integers(0, 40, GREY.shape)).astype(np.uint8)
COLOUR = np.dstack([GREY, GREY[::-1], GREY.T])
MASK = np.zeros((SIDE, SIDE), np.uint8)
MASK[10:40, 20:50] = 255


def readers(work: pathlib.Path) -> Readers:
    """Return `{name: (function of bytes, bytes)}`; the last word of a name is a suffix.

    A function returns something that can be compared, and raises what its reader raises.

    Args:
      work: a directory for files.
    """
    return (
        _pictures() | _masks() | _depth_maps(work) | _data_sets(work) | _videos(work) | _runs(work)
    )


def _pictures():
    def picture(data):
        return _value(images.read(data, "bg", name="x"))

    def reduced(data):
        return _value(images.read(data, "bg", (SIDE // 2, SIDE // 2), "x"))

    forms = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}
    forms |= {"avif": "AVIF"} if "AVIF" in images.FORMATS else {}
    found: Readers = {f"picture {x}": (picture, _encode(COLOUR, forms[x])) for x in forms}
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    for suffix in ("jpg", "png", "webp"):
        found[f"turned picture {suffix}"] = picture, _encode(COLOUR, forms[suffix], exif=turned)
    found["reduced picture jpg"] = reduced, _encode(COLOUR, "JPEG")
    rgba = np.dstack([COLOUR, MASK])
    found["cut-out png"] = lambda d: _value(images.read_cutout(d, "x")), _encode(rgba, "PNG")
    return found


def _masks():
    def reader(reading):
        return lambda data: _value(masks.read(data, "x", reading)[0])

    def depth(data):
        return _value(*images.read_depth(data, 0, name="x"))

    found: Readers = {}
    for suffix, form in {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}.items():
        found[f"mask {suffix}"] = reader(masks.Reading()), _encode(MASK, form)
        found[f"depth {suffix}"] = depth, _encode(GREY, form)
    binary = _encode(MASK // 255, "PNG")
    found["mask of 0 and 1 png"] = reader(masks.find([(binary, "x")], "x")), binary
    alpha = _encode(np.dstack([np.full_like(COLOUR, 255), MASK]), "PNG")
    found["mask in alpha png"] = reader(masks.find([(alpha, "x")], "x")), alpha
    return found


def _depth_maps(work):
    import OpenEXR  # here, because only the part `inputs` of the faults needs it

    deep = GREY.astype(np.uint16) * 200
    real = deep.astype(np.float32)
    npy, npz, exr = io.BytesIO(), io.BytesIO(), work / "depth.exr"
    np.save(npy, real)
    np.savez_compressed(npz, depth=real)
    OpenEXR.File({}, {"Z": real}).write(str(exr))
    files = {
        "npy": npy.getvalue(),
        "npz": npz.getvalue(),
        "png": _encode(deep, "PNG"),
        "tif": _encode(real, "TIFF"),
        "exr": exr.read_bytes(),
    }

    def depth_map(path):
        return _value(recipe_inputs.depth_map(path))

    return {
        f"depth map {suffix}": (_from_file(work / f"input.{suffix}", depth_map), data)
        for suffix, data in files.items()
    }


def _data_sets(work):
    lines = "".join(f"b{k}\tb{k}_f{k}_1\tb{k}_f{k}_1_m\t-\n" for k in range(9))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("file_map.txt", lines)
        file.writestr("bg/b1.png", _encode(COLOUR, "PNG"))
        file.writestr("bg/b2.jpg", _encode(COLOUR, "JPEG"))

    def entries(files):
        listed, mistakes = modest_layout.entries(files)
        if mistakes:
            raise InputError(modest_layout.summarise_mistakes(mistakes))
        return [str(entry) for entry in listed]

    def file_map(path):
        return entries(modest_layout.open_files(path.parent))

    def members(path):
        files = modest_layout.open_files(path)
        names = sorted(sum(files.pictures("bg").values(), []))
        return entries(files) + names + [files.read(f"bg/{name}").hex() for name in names]

    builder = _prepare(work / "set", work / "prepared")
    split = next(iter(builder.info.splits))
    shard = pathlib.Path(builder.info.splits[split].filepaths[0])

    def records(path):
        source = preparation.source(builder, split)
        return [sorted((name, str(x)) for name, x in record.items()) for record in source]

    (work / "map").mkdir(exist_ok=True)
    return {
        "map lines txt": (
            _from_file(work / "map" / modest_layout.FILE_MAP, file_map),
            lines.encode(),
        ),
        "zip zip": (_from_file(work / "input.zip", members), archive.getvalue()),
        "prepared shard array_record": (_from_file(shard, records), shard.read_bytes()),
    }


def _videos(work):
    def video(path):
        clip = Clip()
        read = [_value(picture) for _, picture in frames.read(path, clip)]
        clip.check(path)
        return read

    pictures = [np.roll(COLOUR, 3 * shift, axis=1) for shift in range(6)]
    mp4, gif = work / "clip.mp4", work / "clip.gif"
    with VideoWriter(mp4, 10) as writer:
        for picture in pictures:
            writer.write(picture)
    first, *others = map(Image.fromarray, pictures)
    first.save(gif, save_all=True, append_images=others, duration=100)
    return {
        f"video {path.suffix[1:]}": (
            _from_file(work / f"input{path.suffix}", video),
            path.read_bytes(),
        )
        for path in (mp4, gif)
    }


def _runs(work):
    def network(path):
        state = weights.load(path).state
        return _value(*(np.asarray(x) for x in jax.tree.leaves((state.params, state.batch_stats))))

    def config(path):
        return str(configs.load(path.parent))

    masknet = config_files.load("masknet")
    created = train_state.create(masknet, total_steps=1, steps_per_epoch=1)
    file = work / "masknet.safetensors"
    weights.save(file, weights.Trained(masknet, created.model, created.init()), made_by={})
    (work / "run").mkdir(exist_ok=True)
    text = json.dumps(masknet.to_dict())
    return {
        "weights safetensors": (
            _from_file(work / "input.safetensors", network),
            file.read_bytes(),
        ),
        "config json": (_from_file(work / "run" / configs.FILE, config), text.encode()),
    }


def _prepare(directory, prepared_dir):
    """Prepare a data set of nine composites with one picture, and return its builder."""
    lines = []
    for k in range(9):
        names = f"b{k}", f"b{k}_f{k}_1", f"b{k}_f{k}_1_mask", "-"
        for kind, name in zip(("bg", "bg_fg", "bg_fg_mask"), names):
            (directory / kind).mkdir(parents=True, exist_ok=True)
            picture = MASK if "mask" in name else COLOUR
            (directory / kind / f"{name}.png").write_bytes(_encode(picture, "PNG"))
        lines.append("\t".join(names) + "\n")
    (directory / modest_layout.FILE_MAP).write_text("".join(lines))
    return preparation.prepare("folder", directory=str(directory), prepared_dir=str(prepared_dir))


def _encode(array, form, **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def _value(*arrays):
    return [(x.shape, str(x.dtype), x.tobytes().hex()) for x in arrays]


def _from_file(path, read):
    """Return a function that writes its bytes to a file, and calls `read` with its path."""

    def read_file(data):
        path.write_bytes(data)
        return read(path)

    return read_file
