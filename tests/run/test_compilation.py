"""Announcements of compilations, and their seconds."""

import jax
import jax.numpy as jnp

from modest.run.compilation import Compilation


def test_a_compilation_is_announced_once_and_its_seconds_are_reported_once(capsys):
    compilation = Compilation()
    double = jax.jit(lambda x: 2 * x)
    for size in (8, 8, 16):
        with compilation.of("the step", size):
            double(jnp.ones(size))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" in ")[0] for line in lines] == [
        "compiling the step for 8 px",
        "compiled the step for 8 px",
        "compiling the step for 16 px",
        "compiled the step for 16 px",
    ]
    assert compilation.reset()["compile_seconds"] > 0
    assert compilation.reset() == {}
