"""Data sets built from a directory: bad pictures, killed builds, and two builds at once."""

import hashlib
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest
from PIL import Image

import modest_folder
from modest.data import images, workers
from modest.data.batches import loader
from modest.data.museum import builder, directory_shards, preparation, records, shards
from modest.data.museum.builder import REJECTED
from modest.errors import InputError
from modest.evaluation import evaluate
from modest.run import files


@pytest.fixture(autouse=True)
def threads_only(monkeypatch):
    """Write in threads: worker processes would import the modules without a test's patches."""
    monkeypatch.setattr(builder, "PROCESSES_FROM", 10**6)


@pytest.fixture
def directory(tmp_path):
    return modest_folder.make(tmp_path / "set")


def prepare(directory, prepared_dir, **options):
    return preparation.prepare("folder", str(directory), str(prepared_dir), **options)


def digests(data_dir):
    return {
        f.name: hashlib.sha256(f.read_bytes()).hexdigest()
        for f in sorted(pathlib.Path(data_dir).iterdir())
    }


def leftovers(prepared_dir):
    return [
        f
        for pattern in ("incomplete*", "unfinished*", "*.tmp")
        for f in pathlib.Path(prepared_dir).rglob(pattern)
    ]


def truncate(path):
    path.write_bytes(path.read_bytes()[:700])


def test_directory_is_prepared_once(directory, tmp_path):
    built = prepare(directory, tmp_path / "prepared")
    counts = {name: info.num_examples for name, info in built.info.splits.items()}
    assert counts.pop("backgrounds") == 12
    assert set(counts) == {"train", "validation", "test"} and sum(counts.values()) == 24
    record = preparation.source(built, "train")[0]
    name = f"{record['bg_id'].decode()}_{record['fg_id'].decode()}_01.jpeg"
    assert record["bg_fg"] == (directory / "bg_fg" / name).read_bytes()  # copied, not re-encoded
    assert tuple(record["box"][1:]) == pytest.approx((10, 12, 20), abs=1)
    again = prepare(directory, tmp_path / "prepared")
    assert again.data_dir == built.data_dir and preparation.identity(again) == preparation.identity(
        built
    )
    assert built.info.citation and built.info.description


def test_statistics_are_those_of_the_training_composites(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(directory_shards, "COMPOSITES_PER_SHARD", 2)
    built = prepare(directory, tmp_path / "prepared")
    train = preparation.source(built, "train")
    pictures = [images.read(train[i]["bg_fg"], "bg_fg") for i in range(len(train))]
    pixels = np.concatenate([picture.reshape(-1, 3) for picture in pictures]) / 255
    statistics = built.info.metadata["statistics"]
    np.testing.assert_allclose(statistics["mean"], pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics["std"], pixels.std(axis=0), rtol=1e-12)


def test_all_bad_pictures_are_reported_and_nothing_is_left(directory, tmp_path):
    truncate(directory / "bg_fg" / "bg004_fg004_01.jpeg")
    (directory / "bg_fg_mask" / "bg005_fg005_02_mask.jpeg").unlink()
    (directory / "bg_fg_depth_map" / "bg006_fg006_01_depth_map.jpeg").write_text("<html>")
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(
        directory / "bg_fg_mask" / "bg007_fg007_01_mask.jpeg"
    )
    truncate(directory / "bg" / "bg008.jpeg")  # affects both of its composites
    with pytest.raises(InputError) as raised:
        prepare(directory, tmp_path / "prepared")
    for expected in (
        "6 mistakes",
        "bg_fg/bg004_fg004_01.jpeg: cannot be read",
        "file_map.txt:12: no picture",
        "bg006_fg006_01_depth_map.jpeg: cannot be read",
        "file_map.txt:15: pictures of different sizes",
        "bg/bg008.jpeg: cannot be read",
    ):
        assert expected in str(raised.value)
    assert not list((tmp_path / "prepared").rglob("*.array_record*"))
    assert not leftovers(tmp_path / "prepared")


def test_a_share_of_bad_composites_can_be_left_out(directory, tmp_path):
    truncate(directory / "bg_fg" / "bg004_fg004_01.jpeg")
    with pytest.raises(InputError, match="bg004_fg004_01"):
        prepare(directory, tmp_path / "prepared", max_bad_fraction=0.04)
    built = prepare(directory, tmp_path / "prepared", max_bad_fraction=0.05)
    assert built.info.metadata["rejected"] == 1
    assert "bg004_fg004_01" in (pathlib.Path(built.data_dir) / REJECTED).read_text()
    composites = [s for s in built.info.splits if s not in records.NON_COMPOSITE_SPLITS]
    assert sum(built.info.splits[split].num_examples for split in composites) == 23


def test_original_division(directory, tmp_path):
    built = prepare(directory, tmp_path / "prepared", splits="original")
    counts = {name: info.num_examples for name, info in built.info.splits.items()}
    assert counts == {"train": 16, "test": 8, "backgrounds": 12}
    assert built.builder_config.name.endswith("-original")


def test_interrupted_build_resumes(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(directory_shards, "COMPOSITES_PER_SHARD", 2)
    undisturbed = prepare(directory, tmp_path / "undisturbed")
    made = []
    composite = directory_shards._composite

    def interrupted(*arguments):
        if len(made) == 9:
            raise KeyboardInterrupt
        made.append(arguments[1].bg_fg)
        return composite(*arguments)

    monkeypatch.setattr(directory_shards, "_composite", interrupted)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        prepare(directory, tmp_path / "prepared")
    made_before = list(made)

    def counted(*arguments):
        made.append(arguments[1].bg_fg)
        return composite(*arguments)

    monkeypatch.setattr(directory_shards, "_composite", counted)
    built = prepare(directory, tmp_path / "prepared")
    # The four complete shards of two composites were not made again.
    assert len(made_before) == 9 and len(made) - 9 == 24 - 8
    assert digests(built.data_dir) == digests(undisturbed.data_dir)
    assert not leftovers(tmp_path / "prepared")


BUILD = """
import sys
from modest.data.museum import preparation
preparation.prepare("folder", sys.argv[1], sys.argv[2])
"""


def test_killed_build_resumes(tmp_path):
    directory = modest_folder.make(tmp_path / "set", backgrounds=60, places=30)
    undisturbed = prepare(directory, tmp_path / "undisturbed")
    rng = np.random.default_rng(0)
    for _ in range(3):
        command = [sys.executable, "-c", BUILD, str(directory), str(tmp_path / "prepared")]
        process = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if list((tmp_path / "prepared").rglob("*.tmp")):
                break
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
    built = prepare(directory, tmp_path / "prepared")
    assert digests(built.data_dir) == digests(undisturbed.data_dir)
    assert not leftovers(tmp_path / "prepared")


def _hold(path, ready, done):
    with files.lock(path, "preparing"):
        ready.set()
        done.wait(60)


def test_second_build_at_the_same_time_is_rejected(directory, tmp_path):
    final = pathlib.Path(prepare(directory, tmp_path / "elsewhere").data_dir)
    parent = tmp_path / "prepared" / final.relative_to(tmp_path / "elsewhere").parent
    lock = parent / f".{final.name}.lock"
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(lock, ready, done))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(InputError, match=rf"process {other.pid} on \S+ is preparing it"):
            prepare(directory, tmp_path / "prepared")
    finally:
        done.set()
        other.join()
    prepare(directory, tmp_path / "prepared")


def test_museum_is_read_from_the_manual_directory(tmp_path):
    manual = tmp_path / "prepared" / "downloads" / "manual"
    with pytest.raises(InputError, match=r"modest_museum\.zip"):
        preparation.prepare("museum", prepared_dir=str(tmp_path / "prepared"))
    manual.mkdir(parents=True)
    (manual / "letter.txt").touch()
    with pytest.raises(
        InputError, match=r"manual: neither modest_museum nor modest_museum.zip is there"
    ):
        preparation.prepare("museum", prepared_dir=str(tmp_path / "prepared"))
    directory = modest_folder.make(manual / "modest_museum")
    unpacked = preparation.prepare("museum", prepared_dir=str(tmp_path / "prepared"))
    assert unpacked.info.full_name == "museum/museum/3.0.0"
    assert unpacked.info.splits["train"].num_examples
    assert "MODEST" in unpacked.info.description and "@" in unpacked.info.citation
    assert unpacked.info.homepage.startswith("https://")
    assert "modest_museum.zip" in unpacked.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert {k: unpacked.info.features[k].shape for k in records.PICTURES} == {
        "bg_fg": (None, None, 3),
        "mask": (None, None, 1),
        "depth": (None, None, 1),
    }
    shutil.make_archive(str(tmp_path / "modest_museum"), "zip", directory)
    zipped = preparation.prepare("museum", str(tmp_path), str(tmp_path / "from_zip"))
    assert preparation.identity(zipped) == preparation.identity(unpacked)
    original = preparation.prepare(
        "museum", str(tmp_path), str(tmp_path / "from_zip"), splits="original"
    )
    assert original.info.full_name == "museum/museum-original/3.0.0"


def test_processes_write_the_same_bytes_as_threads(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(directory_shards, "COMPOSITES_PER_SHARD", 7)
    threads = prepare(directory, tmp_path / "threads")
    used = []

    def each(*arguments, each=workers.each):
        used.append(arguments)
        return each(*arguments)

    monkeypatch.setattr(builder, "PROCESSES_FROM", 1)
    monkeypatch.setattr(workers, "each", each)
    # The workers import `directory_shards` without the patch above, so the function that they
    # receive sets the size of a shard.
    monkeypatch.setattr(builder, "contents_of", modest_folder.contents_of_seven)
    processes = prepare(directory, tmp_path / "processes")
    assert used and digests(processes.data_dir) == digests(threads.data_dir)
    assert not leftovers(tmp_path / "processes")


@pytest.mark.filterwarnings("ignore")  # Beam's own
def test_beam_writes_the_same_bytes(directory, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam", reason="apache-beam is not installed")
    monkeypatch.setattr(directory_shards, "COMPOSITES_PER_SHARD", 5)
    plain = prepare(directory, tmp_path / "plain")
    written = []

    def write_file(path, *rest, write_file=shards._write_file):
        written.append(path.name)
        return write_file(path, *rest)

    monkeypatch.setattr(shards, "_write_file", write_file)
    with_beam = prepare(directory, tmp_path / "beam", beam_runner="DirectRunner")
    assert digests(with_beam.data_dir) == digests(plain.data_dir)
    assert len(set(written)) == len(written) > 5
    assert not leftovers(tmp_path / "beam")


def test_missing_beam_is_reported(directory, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(InputError, match="--beam_runner needs `pip install apache-beam`"):
        prepare(directory, tmp_path / "prepared", beam_runner="DirectRunner")


def test_complete_shards_remain_when_the_disk_is_full(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(directory_shards, "COMPOSITES_PER_SHARD", 2)
    written = []

    def full(path, data, durable=False, write=files.write):
        if ".array_record" in path.name:
            if len(written) == 5:
                raise InputError(f"{path}: cannot be written (No space left on device)")
            written.append(path.name)
        write(path, data, durable)

    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with monkeypatch.context() as patch, pytest.raises(InputError, match="No space left"):
        patch.setattr(files, "write", full)
        prepare(directory, tmp_path / "prepared")
    assert len(list((tmp_path / "prepared").rglob(f"*.array_record*{shards.SUMMARY}"))) == 5
    built = prepare(directory, tmp_path / "prepared")
    assert digests(built.data_dir) == digests(prepare(directory, tmp_path / "undisturbed").data_dir)


def test_shards_of_another_archive_are_not_reused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    first = modest_folder.make(tmp_path / "a" / "modest_museum", size=48)
    second = modest_folder.make(tmp_path / "b" / "modest_museum", size=50)
    composite, made = directory_shards._composite, []

    def interrupted(*arguments):
        made.append(arguments)
        if len(made) == 9:
            raise KeyboardInterrupt
        return composite(*arguments)

    monkeypatch.setattr(directory_shards, "COMPOSITES_PER_SHARD", 2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(directory_shards, "_composite", interrupted)
        preparation.prepare("museum", str(first.parent), str(tmp_path / "prepared"))
    after = preparation.prepare("museum", str(second.parent), str(tmp_path / "prepared"))
    undisturbed = preparation.prepare("museum", str(second.parent), str(tmp_path / "other"))
    assert preparation.identity(after) == preparation.identity(undisturbed)


def test_preparing_leaves_nothing_in_the_temporary_directory(small_museum, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    preparation.prepare("procedural", prepared_dir=str(tmp_path / "prepared"))
    assert list((tmp_path / "tmp").iterdir()) == []


def rewrite_masks(directory, change):
    for path in (directory / "bg_fg_mask").iterdir():
        mask = np.asarray(Image.open(path)) > 127
        Image.fromarray(change(mask)).save(path.with_suffix(".png"))
        path.unlink()


def test_masks_of_0_and_1_are_stored_as_0_and_255(directory, tmp_path):
    rewrite_masks(directory, lambda mask: mask.astype(np.uint8))
    built = prepare(directory, tmp_path / "prepared")
    record = preparation.source(built, "train")[0]
    assert np.unique(images.read(record["mask"], "mask")).tolist() == [0, 255]
    assert built.info.metadata["masks_read_as"] == "1 (0 is background)"
    count, empty, full, foreground = built.info.metadata["masks"]["train"]
    assert count == built.info.splits["train"].num_examples and empty == full == 0
    assert 0.05 < foreground / count < 0.15


def test_data_set_of_empty_masks_is_refused_unless_it_is_meant(directory, tmp_path):
    rewrite_masks(directory, lambda mask: (mask * 0).astype(np.uint8))
    with pytest.raises(InputError, match="of 24 masks, 24 are empty and 0 full .values 0"):
        prepare(directory, tmp_path / "prepared")
    assert not leftovers(tmp_path / "prepared")
    built = prepare(directory, tmp_path / "prepared", masks="grey")
    assert built.info.metadata["masks"]["train"][1] == built.info.splits["train"].num_examples


def test_composites_of_no_split_are_checked_and_stored(tmp_path):
    directory = modest_folder.make(tmp_path / "set", backgrounds=5, places=1, grow=0)
    modest_folder.cross(directory)
    built = prepare(directory, tmp_path / "prepared")
    counts = {name: info.num_examples for name, info in built.info.splits.items()}
    assert counts["unassigned"] > 0 and sum(counts.values()) == 25 + counts["backgrounds"]
    assert evaluate.wanted_splits("all", built)[0].count("unassigned") == 1
    (directory / "bg_fg_mask" / "bg004_fg000_01_mask.png").write_text("no picture")
    message = "bg004_fg000_01_mask.png: cannot be read"
    with pytest.raises(InputError, match=message):
        prepare(directory, tmp_path / "prepared")


def test_one_background_can_be_prepared_and_evaluated(tmp_path):
    directory = modest_folder.make(tmp_path / "set", backgrounds=1, places=3)
    built = prepare(directory, tmp_path / "prepared")
    ((split),) = evaluate.wanted_splits("all", built)
    assert len(preparation.source(built, split)) == 3
    assert built.info.metadata["statistics"] is None


def rewrite_depth(directory, change):
    for path in (directory / "bg_fg_depth_map").iterdir():
        depth = np.asarray(Image.open(path)).copy()
        change(depth)
        Image.fromarray(depth).save(path.with_suffix(".png"))
        path.unlink()


def test_unknown_depth_is_marked_and_not_averaged(directory, tmp_path):
    def make_holes(depth):
        depth[:20], depth[:, ::3] = 0, 0

    rewrite_depth(directory, make_holes)
    built = prepare(directory, tmp_path / "prepared")
    assert built.info.metadata["unknown_depth"] == 0
    example = loader.Examples(built, "train", 16)[0]
    assert example["depth"].shape == example["depth_valid"].shape == (16, 16, 1)
    assert not example["depth_valid"][:4].any() and (example["depth_valid"][9:] == 255).all()
    assert set(np.unique(example["depth"])) == {0, 120}
    whole = prepare(directory, tmp_path / "prepared", unknown_depth=-1)
    assert "depth_valid" not in loader.Examples(whole, "train", 16)[0]
    assert whole.builder_config.name.endswith("-unknown-1")


@pytest.mark.parametrize(("level", "end"), [(255, "10 m"), (2, "0.1 m or less"), (0, "unknown")])
def test_depth_at_one_end_is_refused(directory, tmp_path, level, end):
    rewrite_depth(directory, lambda depth: depth.fill(level))
    with pytest.raises(InputError, match=f"100.0% of the depth is {end}"):
        prepare(directory, tmp_path / "prepared")


def test_data_set_without_holes_has_no_depth_valid(directory, tmp_path):
    built = prepare(directory, tmp_path / "prepared")
    assert "unknown_depth" not in built.info.metadata
    assert set(loader.Examples(built, "train", 16)[0]) == {"bg", "bg_fg", "mask", "depth"}


def test_coloured_depth_is_refused(directory, tmp_path):
    path = directory / "bg_fg_depth_map" / "bg003_fg003_01_depth_map.jpeg"
    depth = np.asarray(Image.open(path))
    Image.fromarray(np.dstack([depth] * 3)).save(path)  # grey, stored as a colour
    prepare(directory, tmp_path / "prepared")
    Image.fromarray(np.dstack([depth, depth, 255 - depth // 4])).save(path)
    with pytest.raises(InputError, match="bg003_fg003_01_depth_map.jpeg: coloured"):
        prepare(directory, tmp_path / "prepared")


def test_moved_and_touched_set_is_not_prepared_again(directory, tmp_path, capsys):
    built = prepare(directory, tmp_path / "prepared")
    (directory / "bg" / ".DS_Store").touch()
    (directory / "bg" / "bg000.jpeg").touch()
    moved = directory.rename(tmp_path / "moved")
    capsys.readouterr()
    again = prepare(moved, tmp_path / "prepared")
    assert again.data_dir == built.data_dir and not capsys.readouterr().out


def damaged(final, kind):
    """Damage a prepared data set."""
    shard = next(final.glob("*train*"))
    if kind == "empty":
        for path in final.iterdir():
            path.unlink()
    elif kind == "gone":
        shard.unlink()
    elif kind == "cut":
        shard.write_bytes(shard.read_bytes()[:-70_000])
    elif kind == "flipped":
        data = bytearray(shard.read_bytes())
        data[1000] ^= 1
        shard.write_bytes(data)
    else:
        (final / kind).write_text((final / kind).read_text()[:-200])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "holds no complete data set"),
        ("gone", "train.array_record-00000-of-00001 is missing"),
        ("cut", "damaged"),
        ("flipped", "damaged"),
        ("dataset_info.json", "damaged"),
        ("metadata.json", "damaged"),
    ],
)
def test_damaged_data_set_is_reported(directory, tmp_path, kind, message):
    final = pathlib.Path(prepare(directory, tmp_path).data_dir)
    damaged(final, kind)
    with pytest.raises(InputError, match=rf"{final}: .*{message}.*; delete this directory"):
        source = preparation.source(prepare(directory, tmp_path), "train")
        for index in range(len(source)):
            source[index]
