"""Loading of oneDNN's shared library."""

import ctypes

import pytest

from modest.kernels.onednn import c_api


@pytest.mark.parametrize(
    "major, cpu_runtime, is_accepted",
    [(3, 2, True), (2, 2, False), (4, 2, False), (3, 1, False), (3, 512, False)],
)
def test_only_version_3_with_openmp_is_accepted(monkeypatch, major, cpu_runtime, is_accepted):
    class FakeLibrary:
        class dnnl_primitive_desc_query_md:
            pass

        class dnnl_memory_desc_get_size:
            pass

        @staticmethod
        def dnnl_version():
            return ctypes.pointer(c_api.Version(major, 2, 0, None, cpu_runtime, 0))

    monkeypatch.setattr(ctypes, "CDLL", lambda path: FakeLibrary)
    assert (c_api.load.__wrapped__() is not None) == is_accepted


def test_broken_shared_library_warns(monkeypatch, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libdnnl.so.3").write_text("not a shared library")
    monkeypatch.setattr(c_api.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(c_api.site, "getuserbase", lambda: "/nowhere")
    message = "oneDNN cannot be loaded; XLA computes convolutions, which is slower: .*libdnnl"
    with pytest.warns(UserWarning, match=message):
        assert c_api.load.__wrapped__() is None
