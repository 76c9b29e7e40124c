"""`Predictor` against the network itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import small_networks
from modest import models
from modest.data import images
from modest.errors import InputError
from modest.inference import fitting
from modest.inference.predict import Predictor
from modest.kernels import selection
from modest.preprocess import to_float
from modest.state import train_state
from modest.state.restore import restore_best
from onednn_library import needs_onednn


def test_sequence_equals_the_network_on_each_pair(untrained, predictor, rng):
    """The background is encoded once; the last batch is not full."""
    bg, *shown = rng.integers(0, 255, (6, 40, 60, 3), np.uint8)
    trained = restore_best(untrained)
    results = list(predictor.sequence(bg, zip("abcde", shown), batch=2))
    assert [name for name, *_ in results] == list("abcde")
    for (_, picture, maps), bg_fg in zip(results, shown):
        assert picture is bg_fg
        small = [images.resize(x, (32, 32))[None] for x in (bg, bg_fg)]
        batch = to_float(dict(zip(("bg", "bg_fg"), small)))
        state = trained.state
        logits, _ = train_state.forward(trained.model, state, state.params, batch, train=False)
        for head, output in maps.items():
            probability = np.asarray(jax.nn.sigmoid(logits[head][0, ..., 0]))
            expected = np.asarray(Image.fromarray(probability).resize((60, 40), 2))
            np.testing.assert_allclose(output, expected, atol=1e-5)


@needs_onednn
def test_onednn_computes_the_whole_network(untrained, rng, caplog):
    selection.log_fallback.cache_clear()
    Predictor(untrained)(*rng.integers(0, 255, (2, 32, 32, 3), np.uint8))
    assert not caplog.records


def test_thread_computes_on_the_device_of_its_caller(predictor, rng):
    """JAX's default device is one of a thread."""
    bg, bg_fg = rng.integers(0, 255, (2, 32, 32, 3), np.uint8)
    device, used = jax.devices()[-1], []
    network = predictor._network

    def forward(bg_map, pictures):
        used.append(jax.config.jax_default_device)
        return network.forward(bg_map, pictures)

    predictor._network = network._replace(forward=forward)
    try:
        with jax.default_device(device):
            predictor(bg, bg_fg)
    finally:
        predictor._network = network
    assert used == [device]


@pytest.mark.parametrize("name", models.NETWORKS)
def test_every_network_takes_the_map_of_a_background(name, rng, drawn):
    model = small_networks.build(name)
    bg, bg_fg = jnp.asarray(rng.random((2, 1, 32, 32, 3), np.float32))
    variables = drawn(jax.eval_shape(model.init, jax.random.key(0), bg, bg_fg))

    @jax.jit
    def both_ways(variables):
        bg_map = model.apply(variables, bg)
        from_map = model.apply(variables, None, bg_fg, bg_map=bg_map)
        return from_map, model.apply(variables, bg, bg_fg)

    from_map, whole = both_ways(variables)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), from_map, whole)


def test_array_that_is_no_picture_is_refused(predictor, rng):
    bg, bg_fg = rng.integers(0, 255, (2, 32, 32, 3), np.uint8)
    rgba = bg[..., [0, 1, 2, 2]]
    bad = bg / 255, bg.astype(np.uint16), bg > 9, bg[None], rgba, jnp.asarray(bg), "a.png"
    for picture in bad:
        for pair, name in (((picture, bg_fg), "bg"), ((bg, picture), "bg_fg")):
            with pytest.raises(InputError, match=f"^{name}: .* a picture is a uint8 array"):
                predictor(*pair)
            with pytest.raises(InputError, match=f"^{name}: .* a picture is a uint8 array"):
                list(fitting.predictions(predictor, pair[0], [("", pair[1])]))
    with pytest.raises(InputError, match=r"^bg: float64 \[32, 32, 3\]; "):
        predictor(bg / 255, bg_fg)


def test_size_must_fit_the_network(untrained):
    message = "--size=40: depthnet takes sizes above 0 that are divisible by 32"
    with pytest.raises(InputError, match=message):
        Predictor(untrained, size=40)
