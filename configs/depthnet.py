"""DepthNet: mask and depth from one network, by the original's recipe.

    python -m modest train --config depthnet

trains on the embedded data set: BCE on the mask + 2 RMSE on the depth; SGD with learning rate 0.1,
momentum 0.9 and L2 1e-8; 12 epochs, 8 at 64 px and 4 at 160 px, with the rate falling to 0 over the
last 3. An epoch has 560 composites, which the device makes from rooms and people, new in every
step.

    python -m modest train --config depthnet:museum --config.data.dir=/data/modest

is the full recipe, 64, 128 and 224 px, on a data set in the MODEST layout.

    python -m modest train --config depthnet:gpu

is for a GPU: the first recipe with batches of 32 in bfloat16, and eight times as many composites,
so that it makes as many updates. It was not trained to its end.

The first command reached mask IoU 0.910 ± 0.001, boundary F1 0.958 ± 0.001, depth RMSE 0.0468 ±
0.0006 and delta < 1.25 of 0.923 ± 0.004 on the split `test` (mean and standard deviation of the
seeds 0, 1 and 2, each on one core). With jax 0.10.1 on two cores of an AMD EPYC (AVX-512), training
took 273 s, and 333 s limited to AVX2.
"""

from ml_collections import ConfigDict


def get_config(variant: str = "") -> ConfigDict:
    """Return the recipe. `variant` is "" (embedded data set), "gpu" or "museum" (your own)."""
    config = ConfigDict()
    config.seed = 0

    config.model = ConfigDict({"name": "depthnet", "width": 16})

    config.data = ConfigDict()
    # procedural | procedural_large | procedural_world | procedural_mixed | museum | folder
    config.data.name = "procedural"
    # folder: directory or zip in the MODEST layout. museum: directory that holds
    # `modest_museum.zip` or, unpacked, `modest_museum`.
    config.data.dir = ""
    # library: new composites in every step, made on the device. scenes: the same with more variety.
    # records: composites from disk.
    config.data.source = "library"
    # folder, museum: identity | original (as the original project split: its test set shares
    # backgrounds and figures with the training set).
    config.data.splits = "identity"
    # folder, museum: largest share of composites to leave out because they cannot be used.
    config.data.max_bad_fraction = 0.0
    # folder, museum: auto (find out how the masks say what is foreground, refuse what is not clear)
    # | grey (everything brighter than 127 is foreground, even if that is nothing).
    config.data.masks = "auto"
    # folder, museum: grey level of pixels whose depth is unknown, in lossless files. -1: none.
    config.data.unknown_depth = 0
    # Where prepared data sets are kept. Empty: $TFDS_DATA_DIR, or ~/tensorflow_datasets.
    config.data.prepared_dir = ""
    config.data.threads = 2  # number of threads that read and decode pictures
    # procedural: number of random places of a figure as it is, and as many mirrored (the original:
    # 20). How the two pictures of a pair differ (0: not): sensor noise in grey levels, largest
    # relative change of exposure, largest darkening by the shadow. JPEG quality; 0 for PNG.
    config.data.procedural = ConfigDict(
        {"places": 1, "noise": 2.0, "exposure": 0.03, "shadow": 0.35, "jpeg_quality": 92}
    )
    # source=library: composites per epoch (0: as many as the train split has), largest relative
    # change of a figure's size, largest shift of the camera between the two pictures in px of the
    # stored pictures; noise, exposure and shadow as above.
    config.data.library = ConfigDict(
        {
            "composites": 560,
            "scale": 0.0,
            "shift": 0.0,
            "noise": 2.0,
            "exposure": 0.03,
            "shadow": 0.35,
        }
    )
    # source=scenes: see docs/world.md.
    config.data.scenes = ConfigDict(
        {
            "composites": 560,  # per epoch
            "figures": 3,  # largest number of figures
            "empty": 0.05,  # probability of a scene without a figure
            "gone": 0.08,  # probability that a figure is in bg instead of in bg_fg
            "standing": 0.5,  # probability that a figure stands where its feet meet the background
            # Otherwise its height, as a share of the picture's, is between these two.
            "smallest": 0.06,
            "largest": 0.9,
            "outside": 0.4,  # largest share of its width or height beyond the picture's edge
            "shadow": 0.4,  # largest darkening by the soft shadow under the feet
            "cast": 0.3,  # probability of hard shadows of the figures
            "strays": 0.1,  # probability that something outside of the picture casts one
            "darkness": 0.75,  # largest darkening by hard shadows
            "reflection": 0.0,  # probability that the floor reflects the figures
            "screens": 0.0,  # probability of a screen that shows something else in each picture
            # Probability of a mirror behind the figures, which shows them, or of glass before them.
            "panes": 0.0,
            # Largest share of the width or height by which pictures of another aspect are squeezed
            # into the square; 0.44 for 16:9.
            "squeeze": 0.0,
            # Largest relative change from bg to bg_fg: of all channels, of each channel, and one
            # that varies over the picture.
            "exposure": 0.03,
            "white_balance": 0.02,
            "light": 0.03,
            # Largest movement of the camera, and of what the wind moves, in px of the stored
            # picture.
            "shift": 0.2,
            "sway": 0.3,
            "noise": 3.0,  # largest standard deviation of sensor noise, in grey levels
            "jpeg": 75.0,  # lowest JPEG quality, which half of the scenes have. 0: no JPEG
            "coarse": 0.0,  # probability of pictures that were enlarged from half their size
            "video": 0.0,  # probability that the pair is two frames of a compressed video
        }
    )

    config.stages = ((64, 8), (160, 4))  # (size in px, epochs), one after another
    config.batch_size = 4  # examples per batch, over all devices
    config.accumulate = 1  # number of batches whose mean gradient makes one update
    # float32 | bfloat16: dtype of activations in training. Parameters, sums and losses are float32.
    config.precision = "float32"
    # Recompute most activations in the backward pass: less memory, more time.
    config.rematerialise = False
    # Stop after this number of epochs of the last stage in which the metric `checkpoint.best` did
    # not improve. 0: never.
    config.early_stop = 0
    # Start from the weights of a work directory, a .safetensors file, the package (modest or
    # modest_small), or an .npz of the original's state dict.
    config.init_from = ""

    # Resume although another library computes the convolutions than before (see MODEST_KERNELS in
    # docs/running.md). The results then differ, by rounding, from those of an undisturbed run.
    config.allow_other_kernels = False

    # Weight of each loss of each head. 0: off.
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
    config.optimizer.clip_norm = 0.0  # scale larger gradients down to this norm. 0: never
    # constant | step | plateau | one_cycle | cosine | trapezoid
    config.optimizer.schedule = "trapezoid"
    # Share of all steps in which the rate rises from 0. one_cycle has its own warm-up.
    config.optimizer.warmup = 0.05
    # step: multiply by `factor` every `epochs` epochs, warm-up included.
    config.optimizer.step = ConfigDict({"epochs": 9, "factor": 0.1})
    # plateau: multiply by `factor` after `epochs` epochs without a lower training loss.
    config.optimizer.plateau = ConfigDict({"epochs": 2, "factor": 0.1})
    # trapezoid: fall linearly to 0 over the last `epochs` epochs.
    config.optimizer.trapezoid = ConfigDict({"epochs": 3})

    # Decay per step of a moving average of the weights, which is then evaluated. 0: none.
    config.average = 0.0

    # The original's HueSaturationValue(20, 30, 20) and RandomBrightnessContrast(0.2, 0.2); ranges
    # relative to 1.
    config.augment = ConfigDict()
    config.augment.flip = 0.5
    config.augment.hue_saturation_value = ConfigDict(
        {"probability": 0.5, "hue": 20 / 180, "saturation": 30 / 255, "value": 20 / 255}
    )
    config.augment.brightness_contrast = ConfigDict(
        {"probability": 0.5, "brightness": 0.2, "contrast": 0.2}
    )
    # The original's other operations, off by default. docs/augmentation.md shows them.
    # crop: share of height and width added on every side by reflection, before a random crop.
    config.augment.crop = ConfigDict({"probability": 0.0, "padding": 0.125})
    config.augment.rotation = ConfigDict({"probability": 0.0, "degrees": 10.0})  # either way
    config.augment.blur = ConfigDict({"probability": 0.0, "sigma": 1.4})  # largest, in px
    # cutout: number of grey squares, and their side as a share of the picture's shorter side.
    config.augment.cutout = ConfigDict({"probability": 0.0, "squares": 1, "size": 0.25})
    # iso_noise: largest intensity, and largest hue deviation at intensity 1 in turns of the circle.
    config.augment.iso_noise = ConfigDict(
        {"probability": 0.0, "color_shift": 0.05, "intensity": 0.5}
    )

    # The learning rate range test: `python -m modest lr-range`.
    config.lr_range = ConfigDict({"lowest": 1e-4, "highest": 10.0, "steps": 100})

    config.checkpoint = ConfigDict()
    config.checkpoint.every = 1  # epochs between checkpoints
    config.checkpoint.steps = 0  # steps between checkpoints within an epoch. 0: none there
    config.checkpoint.keep = 2  # newest checkpoints kept, besides the best; at least 2
    config.checkpoint.best = "mask/iou"  # the validation metric that selects the best checkpoint

    config.eval = ConfigDict()
    config.eval.batch_size = 32  # examples per batch, over all devices
    # Splits separated by commas; or all, for every composite of the data set.
    config.eval.splits = "test,test_seen_background,test_seen_figure"
    config.eval.pictures = 3  # examples of each split in figures/predictions.png
    config.log_every = 20  # steps between lines of metrics.jsonl
    config.stall_seconds = 0  # end a run that starts no step or batch in this time. 0: never
    config.profile = ()  # (first, last) step to record with jax.profiler. Empty: none

    if variant == "museum":
        config.data.name = "folder"
        config.data.source = "records"
        config.stages = ((64, 3), (128, 3), (224, 6))
        config.batch_size = 128
        config.eval.batch_size = 128
        config.data.threads = 16
    elif variant == "gpu":
        config.batch_size = 32
        config.data.library.composites = 8 * 560
        config.data.scenes.composites = 8 * 560
        config.precision = "bfloat16"
        config.eval.batch_size = 128
        config.data.threads = 8
    elif variant:
        raise ValueError(f"configs/depthnet.py:{variant}: the variants are '', 'gpu' and 'museum'")
    return config
