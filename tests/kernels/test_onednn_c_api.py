"""oneDNN's shared library: loading, types of arguments, lifetime of objects."""

import ctypes
import gc

import pytest

from modest.kernels.onednn import c_api, signatures
from onednn_library import needs_onednn


@pytest.mark.parametrize("major, cpu_runtime", [(2, 2), (4, 2), (3, 1), (3, 512)])
def test_only_version_3_with_openmp_is_accepted(monkeypatch, tmp_path, major, cpu_runtime):
    class FakeLibrary:
        class dnnl_version:
            def __new__(cls):
                return ctypes.pointer(signatures.Version(major, 2, 0, None, cpu_runtime, 0))

    place_library(monkeypatch, tmp_path, "")
    monkeypatch.setattr(ctypes, "CDLL", lambda path: FakeLibrary)
    with pytest.raises(c_api.Unavailable, match="not installed"):
        c_api.load.__wrapped__()


def test_broken_shared_library_is_unavailable(monkeypatch, tmp_path):
    place_library(monkeypatch, tmp_path, "not a shared library")
    with pytest.raises(c_api.Unavailable, match="oneDNN cannot be loaded: .*libdnnl"):
        c_api.load.__wrapped__()


def place_library(monkeypatch, directory, text):
    (directory / "lib").mkdir()
    (directory / "lib" / "libdnnl.so.3").write_text(text)
    monkeypatch.setattr(c_api.sysconfig, "get_path", lambda name: str(directory))
    monkeypatch.setattr(c_api.site, "getuserbase", lambda: "/nowhere")


@needs_onednn
def test_wrong_argument_is_refused_before_the_call():
    with pytest.raises(ctypes.ArgumentError):
        c_api.call("memory_set_data_handle", c_api.default_attributes(), 1.5)


@needs_onednn
def test_objects_are_destroyed_when_unused(monkeypatch):
    destroyed = []
    md = c_api.plain_md((1, 2, 3, 4), c_api.NHWC_AXES)
    library = c_api.load()
    destroy = library.dnnl_memory_desc_destroy

    def count(handle):
        destroyed.append(handle.value)
        return destroy(handle)

    monkeypatch.setattr(library, "dnnl_memory_desc_destroy", count)
    other = c_api.plain_md((1, 2, 3, 4), c_api.NHWC_AXES)
    address = other.address
    assert c_api.equal_mds(md, other) and not destroyed
    del other
    gc.collect()
    assert destroyed == [address]


@needs_onednn
def test_description_follows_the_instruction_set():
    version, instructions = c_api.description().split()
    assert version.startswith("3.") and instructions in c_api.INSTRUCTION_SETS
