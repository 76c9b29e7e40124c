"""Every config of the repository is valid; every bad value is reported with its key."""

import pytest

from configs import depthnet, masknet, pairnet, unet
from configs.experiments import augmentation, disturbances, losses, one_size, plateau, unet_ssim
from modest.errors import InputError
from modest.run import validation

BAD = {
    "model.name": "resnet",
    "model.width": 0,
    "stages": ((60, 1),),
    "batch_size": 0,
    "loss.mask.bce": -1.0,
    "loss.mask.ms_ssim": 1.0,
    "loss.depth.rmse": float("nan"),
    "optimizer.learning_rate": float("nan"),
    "optimizer.momentum": 1.0,
    "optimizer.weight_decay": -1e-8,
    "optimizer.schedule": "linear",
    "optimizer.warmup": 1.5,
    "optimizer.step.factor": 0.0,
    "augment.flip": 2.0,
    "augment.hue_saturation_value.hue": -0.1,
    "augment.crop.padding": float("nan"),
    "augment.rotation.degrees": 181.0,
    "augment.blur.sigma": float("inf"),
    "augment.cutout.squares": -1,
    "augment.cutout.size": 1.5,
    "augment.iso_noise.probability": 2.0,
    "checkpoint.keep": 0,
    "checkpoint.best": "mask/iuo",
    "checkpoint.steps": -1,
    "early_stop": -1,
    "average": 1.0,
    "precision": "float16",
    "accumulate": 0,
    "profile": (3, 2),
    "lr_range.lowest": 100.0,
    "lr_range.steps": 1,
    "optimizer.clip_norm": -1.0,
    "data.name": "imagenet",
    "data.procedural.places": 0,
    "data.source": "disk",
    "data.library.scale": 1.0,
    "data.library.noise": -1.0,
    "data.library.exposure": 1.5,
    "data.scenes.figures": 0,
    "data.scenes.outside": 1.5,
    "data.scenes.smallest": 0.0,
    "data.scenes.jpeg": 99.0,
    "eval.batch_size": -1,
    "eval.splits": "test,test",
    "stall_seconds": 10**7,
    "data.procedural.shadow": 1.0,
    "data.procedural.jpeg_quality": 101,
    "seed": -1,
}


@pytest.mark.parametrize("module", [depthnet, masknet, pairnet, unet], ids=lambda m: m.__name__)
def test_shipped_configs_are_valid(module, tmp_path):
    validation.validate(module.get_config())
    if module is pairnet:
        for variant in pairnet.VARIANTS:
            validation.validate(module.get_config(variant), reads_data=False)
    museum = module.get_config("museum")
    museum.data.dir = str(tmp_path)
    (tmp_path / "file_map.txt").touch()
    validation.validate(museum)
    assert [size for size, _ in museum.stages] == [64, 128, 224]


@pytest.mark.parametrize("variant", losses.COMBINATIONS)
def test_loss_experiments_are_valid(variant):
    validation.validate(losses.get_config(variant))


EXPERIMENTS = [
    *((augmentation, variant) for variant in augmentation.VARIANTS),
    *((disturbances, variant) for variant in disturbances.VARIANTS),
    *((one_size, variant) for variant in one_size.EPOCHS),
    (plateau, ""),
    (unet_ssim, ""),
]


@pytest.mark.parametrize(("module", "variant"), EXPERIMENTS)
def test_experiments_are_valid_and_differ_from_the_recipe(module, variant):
    config = module.get_config(variant)
    validation.validate(config)
    assert config.to_dict() not in (depthnet.get_config().to_dict(), pairnet.get_config().to_dict())
    assert config.seed == 0 and config.batch_size == 4


@pytest.mark.parametrize("module", [augmentation, disturbances, losses, one_size])
def test_unknown_variant_of_an_experiment_is_refused(module):
    with pytest.raises(ValueError, match=f"experiments/{module.__name__.split('.')[-1]}.py:gone"):
        module.get_config("gone")


def test_hyperparameters_are_the_originals():
    config = depthnet.get_config()
    assert config.optimizer.learning_rate == 0.1 and config.optimizer.momentum == 0.9
    assert config.optimizer.weight_decay == 1e-8
    assert sum(epochs for _, epochs in config.stages) == 12
    assert config.loss.mask.bce == 1.0 and config.loss.depth.rmse == 2.0


@pytest.mark.parametrize("key", BAD)
def test_bad_value_is_reported_with_its_key(key):
    config = depthnet.get_config()
    config.update_from_flattened_dict({key: BAD[key]})
    with pytest.raises(InputError, match=f"--config.{key}") as error:
        validation.validate(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1.5),
        ("batch_size", True),
        ("rematerialise", 1),
        ("optimizer.learning_rate", "0.1"),
        ("stages", "64"),
        ("data", "folder"),
        ("eval.splits", 3),
        ("checkpoint", 3),
        ("loss.mask.bce", "x"),
        ("model.widths", 3),
    ],
)
def test_value_of_another_type_is_reported(key, value):
    config = pairnet.get_config()
    *sections, name = key.split(".")
    section = config
    for part in sections:
        section = section[part]
    with section.ignore_type():
        section[name] = value
    with pytest.raises(InputError, match=rf"--config.{key}.*: must be (True|a|text)") as error:
        validation.validate(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["averge", "optimizer.nesterov"])
def test_unknown_key_of_a_config_file_is_reported(key):
    config = depthnet.get_config()
    config.update_from_flattened_dict({key: True})
    with pytest.raises(InputError, match=f"--config.{key}: no such key"):
        validation.validate(config)


@pytest.mark.parametrize("key", ["average", "data.scenes.video", "loss.depth", "model.name"])
def test_missing_key_of_a_config_file_is_reported(key):
    config = depthnet.get_config()
    *sections, name = key.split(".")
    section = config
    for part in sections:
        section = section[part]
    del section[name]
    with pytest.raises(InputError, match=f"--config.{key} is missing"):
        validation.validate(config)


def test_jpeg_of_scenes_needs_whole_blocks():
    config = masknet.get_config()
    config.stages = ((100, 1),)
    config.data.source = "scenes"
    with pytest.raises(InputError, match="needs sizes divisible by 16, not 100"):
        validation.validate(config)
    config.data.scenes.jpeg = 0.0
    validation.validate(config)


def test_ms_ssim_needs_a_large_picture():
    config = depthnet.get_config()
    config.loss.depth.ms_ssim = 1.0
    with pytest.raises(InputError, match="161 px or more, and a stage has 64"):
        validation.validate(config)
    config.stages = ((224, 1),)
    validation.validate(config)


def test_depth_loss_of_masknet_is_refused():
    config = masknet.get_config()
    config.loss.depth.rmse = 2.0
    with pytest.raises(InputError, match="masknet has no depth; set it to 0"):
        validation.validate(config)


def test_unknown_variant_lists_the_known_ones():
    with pytest.raises(ValueError, match="museum"):
        depthnet.get_config("musem")
    with pytest.raises(ValueError, match="ssim_dice"):
        losses.get_config("dice_ssim")


def test_batch_must_split_over_the_devices():
    config = depthnet.get_config()
    validation.validate_devices(config, 4)
    with pytest.raises(
        InputError,
        match=r"--config.batch_size=4 cannot be split over 3 devices; use a multiple of 3",
    ):
        validation.validate_devices(config, 3)


def test_unknown_loss_lists_the_known_ones():
    config = depthnet.get_config()
    config.loss.mask = {"bce": 1.0, "focal": 1.0}
    with pytest.raises(InputError, match="loss.mask.*focal: must be one of bce, rmse, dice"):
        validation.validate(config)


def test_small_pairnet_is_valid():
    validation.validate(pairnet.get_config("small"))


@pytest.mark.parametrize(
    "widths", [(8, 8, 16, 24, 48), (8, 8, 16, 24, 48, 0), (8, 8, 16, 24, 48, 1.5)]
)
def test_widths_of_pairnet_are_checked(widths):
    config = pairnet.get_config()
    config.model = {"name": "pairnet", "widths": widths}
    with pytest.raises(InputError, match=r"--config.model.widths=.*: must be 6 whole numbers"):
        validation.validate(config)


@pytest.mark.parametrize("variant", ["gpu", "museum"])
@pytest.mark.parametrize("devices", [1, 2, 4, 8, 16, 32])
def test_batches_for_a_gpu_can_be_split(variant, devices):
    validation.validate_devices(depthnet.get_config(variant), devices)
