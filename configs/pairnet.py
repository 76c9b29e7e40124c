"""PairNet: mask and depth by comparing the two pictures; the network to choose for new work.

    python -m modest train --config pairnet

trains on the embedded data set with DepthNet's recipe, on 800 composites per epoch.
`pairnet:small` is a form of 0.2 million parameters and 0.2 GMAC for a pair of 224 px. `pairnet:gpu`
has the recipe of `depthnet:gpu`. `pairnet:museum` is the full recipe on a data set in the MODEST
layout (`--config.data.dir=...`).

Three variants made the weights in the package, and train for 44 minutes to 2.4 hours
(docs/models.md): `pairnet:release`, on the drawn world (docs/world.md); `pairnet:release_mixed`,
which continues from its weights (`--config.init_from=...`); and `pairnet:release_small`. The last
two train on `procedural_mixed`, with more noise.

The first command reached mask IoU 0.939 ± 0.001, boundary F1 0.977 ± 0.002, depth RMSE 0.0430 ±
0.0017 and delta < 1.25 of 0.939 ± 0.007 on the split `test` (mean and standard deviation of the
seeds 0, 1 and 2, each on one core). With jax 0.10.1 on two cores of an AMD EPYC limited to AVX2,
training took 262 s. The small form reached 0.925 ± 0.008, 0.966 ± 0.007, 0.0533 ± 0.0016 and
0.895 ± 0.009.
"""

from ml_collections import ConfigDict

from modest.run import config_files

WIDTHS = (16, 24, 48, 96, 160, 192)
SMALL = (8, 8, 16, 24, 48, 64)
VARIANTS = ("", "small", "gpu", "museum", "release", "release_mixed", "release_small")


def get_config(variant: str = "") -> ConfigDict:
    """Return DepthNet's recipe with another network. `variant` is one of `VARIANTS`."""
    if variant not in VARIANTS:
        raise ValueError(f"configs/pairnet.py:{variant}: the variants are {VARIANTS}")
    config = config_files.load(
        f"depthnet:{variant}" if variant in ("gpu", "museum") else "depthnet"
    )
    config.model = {"name": "pairnet", "widths": SMALL if "small" in variant else WIDTHS}
    # These take less time than DepthNet's 560.
    composites = 8 * 800 if variant == "gpu" else 800
    config.data.library.composites = config.data.scenes.composites = composites
    if variant.startswith("release"):
        config.data.name = "procedural_world"
        config.data.source = "scenes"
        config.data.scenes.composites = 2000
        config.loss.mask.dice = 1.0
        config.stages = ((64, 10), (128, 14), (224, 16))
        config.batch_size = 8
        config.optimizer.trapezoid.epochs = 8
        config.average = 0.998
        config.checkpoint.best = "loss"
        if variant in ("release_mixed", "release_small"):
            config.data.name = "procedural_mixed"
            config.data.scenes.noise = 12.0
        if variant == "release_small":
            config.stages = ((64, 10), (128, 12), (224, 8))
        elif variant == "release_mixed":
            config.stages = ((224, 5),)
            config.optimizer.learning_rate = 0.05
            config.optimizer.trapezoid.epochs = 4
    return config
