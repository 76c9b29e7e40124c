"""Building blocks of the networks: plain functions on arrays first, then the Flax modules made of them.

Every array is NHWC (batch, height, width, channels). A module takes `train`: True normalises with the batch's own statistics and
updates the running ones, False uses the running ones. A map has the type of the pictures, which may be bfloat16; parameters,
statistics and what is added up for them keep their own. Blocks reproduce the original PyTorch layers to rounding: initialisation,
the bias before a BatchNorm, and the unbiased variance in the running statistics included.

What is written out here (`max_pool`, `upsample`), and in `convolution.py`, replaces library calls of the same mathematics that are
slower on XLA's CPU backend; `python -m benchmarks.layers` measures each against the call it replaces. A kernel and a BatchNorm are
modules of their own, apart from the convolution, so that prediction can fold the one into the other.
"""

import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from modest.models.convolution import conv, conv_relu, whole

BATCH_NORM_EPSILON = 1e-5
CONVOLUTION = "convolution"  # the name of what rematerialisation keeps
FOLDED = "folded"  # the collection of what a network computes of its variables before it predicts; see `models.fold`
BATCH_NORM_DECAY = 0.9  # running = 0.9 * running + 0.1 * batch; PyTorch calls the same thing momentum 0.1


@whole
def max_pool(x):
    """2x2 max-pooling with stride 2: `[B,H,W,C]` -> `[B,H/2,W/2,C]`, H and W even.

    As maxima of two rows and then two columns: the gradient of `nn.max_pool` (select-and-scatter) is slow on a CPU, and that of
    a maximum over the whole 2x2 block, which counts its equal values first, slower than these two.
    """
    batch, height, width, channels = x.shape
    rows = x.reshape(batch, height // 2, 2, width, channels)
    columns = jnp.maximum(rows[:, :, 0], rows[:, :, 1]).reshape(batch, height // 2, width // 2, 2, channels)
    return jnp.maximum(columns[:, :, :, 0], columns[:, :, :, 1])


@whole
def upsample(x):
    """Bilinear x2 with half-pixel centres and clamped edges: `[B,H,W,C]` -> `[B,2H,2W,C]`.

    Equals PyTorch's `interpolate(scale_factor=2, mode="bilinear", align_corners=False)` and `jax.image.resize(..., "bilinear")`.
    """
    return _upsample_axis(_upsample_axis(x, 1), 2)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _upsample_axis(x, axis):
    """`upsample` along one axis. A new sample lies a quarter of a pixel from an old one: 3/4 of that one and 1/4 of the next."""
    part = lambda start, stop: lax.slice_in_dim(x, start, stop, axis=axis)
    before = jnp.concatenate([part(0, 1), part(0, -1)], axis)
    after = jnp.concatenate([part(1, None), part(-1, None)], axis)
    pairs = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis=axis + 1)
    return pairs.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])


def _upsample_axis_backward(axis, _, g):
    """The transpose, closed: autodiff would write each shifted slice as a padded copy of the whole map."""
    pairs = g.reshape(*g.shape[:axis], g.shape[axis] // 2, 2, *g.shape[axis + 1 :])
    even, odd = (lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1))
    part = lambda x, start, stop: lax.slice_in_dim(x, start, stop, axis=axis)
    from_after = jnp.concatenate([part(even, 1, None), part(odd, -1, None)], axis)
    from_before = jnp.concatenate([part(even, 0, 1), part(odd, 0, -1)], axis)
    return (0.75 * (even + odd) + 0.25 * (from_after + from_before),)


_upsample_axis.defvjp(lambda x, axis: (_upsample_axis(x, axis), None), _upsample_axis_backward)


def per_channel(vector):
    """`[C]` shaped to go with `[B,H,W,C]`."""
    return vector.reshape(1, 1, 1, -1)


def _uniform(bound):
    """An initialiser: uniform over [-bound, bound)."""
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -bound, bound)


def _kernel(module, x, features, size):
    """The parameter `kernel` of a module, `[size,size,C,features]`: uniform in +-1/sqrt(fan in) at first, PyTorch's default."""
    shape = (size, size, x.shape[-1], features)
    return module.param("kernel", _uniform(1 / math.sqrt(math.prod(shape[:3]))), shape, x.dtype)


class Conv1x1(nn.Module):
    """1x1 convolution, with a bias that starts as the kernel does: `[B,H,W,C]` -> `[B,H,W,features]`."""

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x):
        y = checkpoint_name(conv(x, _kernel(self, x, self.features, 1).astype(x.dtype)), CONVOLUTION)
        if not self.use_bias:
            return y
        bias = self.param("bias", _uniform(1 / math.sqrt(x.shape[-1])), (self.features,), x.dtype)
        return y + per_channel(bias).astype(x.dtype)


class Kernel3x3(nn.Module):
    """The kernel of a 3x3 convolution of `x`, `[3,3,C,features]`, which the caller convolves with."""

    features: int

    @nn.compact
    def __call__(self, x):
        return _kernel(self, x, self.features, 3)


class BatchNorm(nn.Module):
    """Batch normalisation over batch, height and width (Ioffe and Szegedy, 2015), with PyTorch's running statistics.

    Gives the affine map that it is, `(factor, shift)`, `[C]` each, to apply with `affine`, or to fold into a convolution before it.
    `offset` is a bias that `x` was not given, for normalising takes it off again.

    Differs from `nn.BatchNorm` in one thing: the running variance takes the unbiased batch variance, n / (n - 1) times the biased
    one that normalises. With `axis_name`, the name of a mapped axis, the statistics are those of the global batch.
    """

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train, offset=0):
        """`x` is looked at for its values only with `train`, and always for its channels and type."""
        features = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (features,), x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (features,), x.dtype)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (features,), x.dtype)
        running_var = self.variable("batch_stats", "var", jnp.ones, (features,), x.dtype)
        if train:
            # Inside `init` no axis is mapped yet.
            axis_name = None if self.is_initializing() else self.axis_name
            mean, var, count = batch_moments(x.astype(scale.dtype), axis_name)
            if not self.is_initializing():
                unbiased = var * (count / max(count - 1, 1))
                running_mean.value = BATCH_NORM_DECAY * running_mean.value + (1 - BATCH_NORM_DECAY) * (mean + offset)
                running_var.value = BATCH_NORM_DECAY * running_var.value + (1 - BATCH_NORM_DECAY) * unbiased
        else:
            mean, var = running_mean.value - offset, running_var.value
        factor = scale * lax.rsqrt(var + BATCH_NORM_EPSILON)
        return factor, bias - mean * factor


def affine(x, factor, shift):
    """`x * factor + shift` for every channel, in the type of `x`: `[B,H,W,C]`, `[C]`, `[C]` -> `[B,H,W,C]`."""
    return (x * per_channel(factor) + per_channel(shift)).astype(x.dtype)


def batch_moments(x, axis_name=None):
    """Mean and biased variance `[C]` of `[B,H,W,C]` over all but the channels, and how many values each is over.

    Both means are taken in one pass, and over `axis_name` in one reduction; the difference of squares cannot go below 0.
    """
    count = math.prod(x.shape[:-1])
    moments = jnp.stack([x.mean(axis=(0, 1, 2)), jnp.square(x).mean(axis=(0, 1, 2))])
    if axis_name is not None:
        moments = lax.pmean(moments, axis_name)
        count *= lax.axis_size(axis_name)
    mean, mean_of_squares = moments
    return mean, jnp.maximum(mean_of_squares - jnp.square(mean), 0), count


class ConvBNReLU(nn.Module):
    """3x3 convolution with bias, BatchNorm, ReLU: `[B,H,W,C]` -> `[B,H,W,features]`.

    In training the bias is left out, for BatchNorm would take it off again; in prediction BatchNorm is folded into the kernel.
    """

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train):
        if self.has_variable(FOLDED, "kernel"):
            return conv_relu(x, *(self.get_variable(FOLDED, name) for name in ("kernel", "bias")))
        kernel = Kernel3x3(self.features, name="conv")(x)
        bias = self.param("bias", _uniform(1 / math.sqrt(9 * x.shape[-1])), (self.features,), x.dtype)
        norm = BatchNorm(self.axis_name, name="norm")
        if train:
            y = checkpoint_name(conv(x, kernel.astype(x.dtype)), CONVOLUTION)
            return nn.relu(affine(y, *norm(y, train, bias)))
        factor, shift = norm(bias, train, bias)
        kernel, bias = (kernel * per_channel(factor)).astype(x.dtype), shift.astype(x.dtype)
        if self.is_mutable_collection(FOLDED) and not self.is_initializing():
            self.put_variable(FOLDED, "kernel", kernel)
            self.put_variable(FOLDED, "bias", bias)
        return conv_relu(x, kernel, bias)


class Encoder(nn.Module):
    """Halves the size, residually: `[B,H,W,C]` -> `[B,H/2,W/2,features]`, H and W even.

    Main path: 2x2 max-pool and two conv-BN-ReLU. Skip path: a 1x1 convolution with stride 2, without bias, and BatchNorm.
    ReLU on their sum (He et al., 2016, with the pooling in place of a strided convolution).
    """

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train):
        y = ConvBNReLU(self.features, self.axis_name, name="conv1")(max_pool(x), train)
        y = ConvBNReLU(self.features, self.axis_name, name="conv2")(y, train)
        skip = Conv1x1(self.features, use_bias=False, name="skip_conv")(x[:, ::2, ::2])
        return nn.relu(y + affine(skip, *BatchNorm(self.axis_name, name="skip_norm")(skip, train)))


class Decoder(nn.Module):
    """Doubles the size: `[B,H,W,C]` and the encoder's map `skip`, `[B,2H,2W,features]` -> `[B,2H,2W,features]`.

    1x1 convolution to `features`, bilinear x2, plus `skip`, two conv-BN-ReLU.
    """

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, skip, train):
        x = upsample(Conv1x1(self.features, name="reduce")(x)) + skip
        x = ConvBNReLU(self.features, self.axis_name, name="conv1")(x, train)
        return ConvBNReLU(self.features, self.axis_name, name="conv2")(x, train)


class Head(nn.Module):
    """The 1x1 convolution to one channel of logits: `[B,H,W,C]` -> `[B,H,W,1]`."""

    @nn.compact
    def __call__(self, x):
        return Conv1x1(1, name="conv")(x)
