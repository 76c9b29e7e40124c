"""DepthNet: mask and depth from one network, the original's recipe.

    python launch.py --config configs/depthnet.py

trains on the embedded museum: BCE on the mask + 2 RMSE on the depth, SGD with learning rate 0.1, momentum 0.9 and L2 1e-8,
12 epochs of growing pictures: 8 at 64 px and 4 at 160 px, in the last 3 of which the rate falls to 0. An epoch is 480 composites,
made anew in every step from rooms and figures. The full recipe, 64, 128 and 224 px on the composites of a data set in the MODEST
layout, is

    python launch.py --config configs/depthnet.py:museum --config.data.dir=/data/modest
"""

from ml_collections import ConfigDict


def get_config(variant=""):
    """The recipe; `variant` is empty (the embedded museum) or `museum` (your own data, the original's three sizes)."""
    config = ConfigDict()
    config.seed = 0

    config.model = ConfigDict({"name": "depthnet", "width": 16})

    config.data = ConfigDict()
    config.data.name = "procedural"  # procedural | procedural_large | museum | folder
    config.data.dir = ""  # folder: the directory or zip in the MODEST layout; museum: the directory that its archive is in
    config.data.source = "library"  # library: composites made on the device, new ones in every step | records: those on the disk
    config.data.splits = (
        "identity"  # folder, museum: identity | original (the original's, which shares its pictures with the test set)
    )
    config.data.max_bad_fraction = 0.0  # folder, museum: the share of composites that may be left out because they cannot be used
    config.data.prepared_dir = ""  # where prepared data sets are kept; empty: $TFDS_DATA_DIR or ~/tensorflow_datasets
    config.data.threads = 2  # that read and decode
    # Of the procedural ones: places per orientation for a pair (the original: 20), and how its two pictures differ, each 0 for
    # not at all: sensor noise in grey levels, largest change of exposure, largest darkening by the shadow; JPEG quality, 0 for PNG.
    config.data.procedural = ConfigDict({"places": 1, "noise": 2.0, "exposure": 0.03, "shadow": 0.35, "jpeg_quality": 92})

    # Of the library: composites an epoch (0: as many as the train split has); largest relative change of a figure's size, largest
    # shift of the camera between the two pictures in px of the stored ones; noise, exposure and shadow as above.
    config.data.library = ConfigDict(
        {"composites": 480, "scale": 0.0, "shift": 0.0, "noise": 2.0, "exposure": 0.03, "shadow": 0.35}
    )

    config.stages = ((64, 8), (160, 4))  # (size in px, epochs), one after another
    config.batch_size = 4  # over all devices
    config.accumulate = 1  # batches whose mean gradient makes one update
    config.precision = "float32"  # float32 | bfloat16: of the network's maps in training; parameters, sums and losses stay float32
    config.rematerialise = False  # compute most maps again in the backward pass, in place of keeping them: less memory, more time
    config.early_stop = 0  # end after so many epochs of the last stage without a better `checkpoint.best`; 0: go on to the end
    config.init_from = ""  # start from the weights of another work directory, or of an .npz of the original's state dict

    # Weight of each loss of each head; 0 is off.
    config.loss = ConfigDict(
        {
            "mask": {"bce": 1.0, "rmse": 0.0, "dice": 0.0, "ssim": 0.0, "ms_ssim": 0.0},
            "depth": {"bce": 0.0, "rmse": 2.0, "dice": 0.0, "ssim": 0.0, "ms_ssim": 0.0},
        }
    )

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 0.1  # the highest one of the schedule
    config.optimizer.momentum = 0.9
    config.optimizer.weight_decay = 1e-8  # added to the gradient, before the momentum
    config.optimizer.clip_norm = 0.0  # a gradient with a larger norm is scaled down to it; 0: none is
    config.optimizer.schedule = "trapezoid"  # constant | step | plateau | one_cycle | cosine | trapezoid
    config.optimizer.warmup = 0.05  # share of all steps in which the rate rises from 0 (not for one_cycle, which has its own)
    config.optimizer.step = ConfigDict({"epochs": 9, "factor": 0.1})  # every so many epochs after the warm-up, times this
    config.optimizer.plateau = ConfigDict({"epochs": 2, "factor": 0.1})  # epochs without a lower training loss
    config.optimizer.trapezoid = ConfigDict({"epochs": 3})  # the last ones, in which the rate falls to 0 in a straight line

    # Decay per step of a moving average of the weights, which is then evaluated in their place; 0: none is kept.
    config.average = 0.0

    # The original's HueSaturationValue(20, 30, 20) and RandomBrightnessContrast(0.2, 0.2), ranges in shares of 1.
    config.augment = ConfigDict()
    config.augment.flip = 0.5
    config.augment.hue_saturation_value = ConfigDict(
        {"probability": 0.5, "hue": 20 / 180, "saturation": 30 / 255, "value": 20 / 255}
    )
    config.augment.brightness_contrast = ConfigDict({"probability": 0.5, "brightness": 0.2, "contrast": 0.2})
    # The original's others, off until they get a probability; docs/augmentation.md shows each.
    # Share of height and width that is added on every side by reflection, before as much is cropped away at random.
    config.augment.crop = ConfigDict({"probability": 0.0, "padding": 0.125})
    config.augment.rotation = ConfigDict({"probability": 0.0, "degrees": 10.0})  # at most, either way
    config.augment.blur = ConfigDict({"probability": 0.0, "sigma": 1.4})  # at most, in px of the stage's picture
    config.augment.cutout = ConfigDict({"probability": 0.0, "squares": 1, "size": 0.25})  # the size in shares of the shorter side
    # Both at most: the intensity of the noise, and the turns of the colour circle by which its hue deviates at an intensity of 1.
    config.augment.iso_noise = ConfigDict({"probability": 0.0, "color_shift": 0.05, "intensity": 0.5})

    config.lr_range = ConfigDict({"lowest": 1e-4, "highest": 10.0, "steps": 100})  # of --mode lr_range

    config.checkpoint = ConfigDict()
    config.checkpoint.every = 1  # epochs
    config.checkpoint.steps = 0  # and within an epoch after every so many steps; 0: at its end only
    config.checkpoint.keep = 2  # newest ones kept, beside the best; at least 2, so that there is one to go back to
    config.checkpoint.best = "mask/iou"  # the validation metric that says which is best

    config.eval = ConfigDict()
    config.eval.batch_size = 32  # over all devices
    config.eval.splits = "test,test_seen_background,test_seen_figure"  # or all: every composite of the data set
    config.eval.pictures = 3  # examples of each split in figures/predictions.png
    config.log_every = 20  # steps between lines in metrics.jsonl
    config.stall_seconds = 0  # end a run in which no step or batch of a validation begins for so long; 0: wait for ever
    config.profile = ()  # (first, last): steps that jax.profiler records, into the work directory; empty: none

    if variant == "museum":
        config.data.name = "folder"
        config.data.source = "records"
        config.stages = ((64, 3), (128, 3), (224, 6))
        config.batch_size = 128
        config.eval.batch_size = 128
        config.data.threads = 16
    elif variant:
        raise ValueError(f"configs/depthnet.py:{variant}: the variants are '' and 'museum'")
    return config
