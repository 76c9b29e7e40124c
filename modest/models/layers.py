"""Building blocks of the networks.

Arrays are NHWC (batch, height, width, channels). In training mode (`train=True`) BatchNorm
normalises with the batch's statistics and updates the running ones; in eval mode it uses the
running ones. A feature map has the dtype of the pictures, which may be bfloat16. Parameters,
statistics and the sums behind them keep their own dtype.

The blocks reproduce the original PyTorch layers to rounding. This includes initialisation, the bias
before a BatchNorm, and the unbiased variance in the running statistics.

The kernel of a 3x3 convolution is a module of its own, and so is BatchNorm. So prediction can fold
BatchNorm into the kernel before it computes the convolution.
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from modest import kernels

BATCH_NORM_EPSILON = 1e-5
BATCH_NORM_DECAY = 0.9  # running = 0.9 * running + 0.1 * batch; PyTorch's momentum of 0.1
CONVOLUTION = "convolution"  # checkpoint name of the outputs that rematerialisation keeps
FOLDED = "folded"  # collection of kernels and biases that include BatchNorm; see `models.fold`


def per_channel(vector: jax.Array) -> jax.Array:
    """Reshape `[C]` to broadcast with `[B,H,W,C]`."""
    return vector.reshape(1, 1, 1, -1)


def _uniform(bound):
    """Return an initialiser: uniform over [-bound, bound)."""
    return functools.partial(jax.random.uniform, minval=-bound, maxval=bound)


def uniform_bound(kernel_shape: tuple[int, ...]) -> float:
    """Return the bound b of PyTorch's initial values of a convolution, uniform in [-b, b).

    It is 1 / sqrt(fan in), both for the kernel and for the bias.

    Args:
      kernel_shape: `[k,l,I,O]`.
    """
    return 1 / math.sqrt(math.prod(kernel_shape[:3]))


def _kernel(module, x, features, size):
    """Return the parameter `kernel` of a module, `[size,size,C,features]`."""
    shape = (size, size, x.shape[-1], features)
    return module.param("kernel", _uniform(uniform_bound(shape)), shape, x.dtype)


class Conv1x1(nn.Module):
    """1x1 convolution: `[B,H,W,C]` -> `[B,H,W,features]`.

    Attributes:
      features: output channels.
      use_bias: add a bias, initialised as the kernel is.
    """

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the convolution."""
        kernel = _kernel(self, x, self.features, 1).astype(x.dtype)
        y = checkpoint_name(kernels.conv(x, kernel), CONVOLUTION)
        if not self.use_bias:
            return y
        initializer = _uniform(uniform_bound(kernel.shape))
        bias = self.param("bias", initializer, (self.features,), x.dtype)
        return y + per_channel(bias).astype(x.dtype)


class Kernel3x3(nn.Module):
    """The kernel of a 3x3 convolution. The caller computes the convolution.

    Attributes:
      features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the kernel `[3,3,C,features]` for an input `[B,H,W,C]`."""
        return _kernel(self, x, self.features, 3)


class BatchNorm(nn.Module):
    """Batch normalisation over batch, height and width (Ioffe and Szegedy, 2015).

    It returns an affine map to apply with `affine`, or to fold into the convolution before it.

    It differs from `nn.BatchNorm` in one thing, in which it agrees with PyTorch: the running
    variance is updated with the unbiased variance of the batch. That is n / (n - 1) times the
    biased variance, by which the batch is normalised.

    Attributes:
      axis_name: name of a mapped axis. If given, statistics are those of the global batch.
    """

    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool, offset: jax.Array | float = 0
    ) -> tuple[jax.Array, jax.Array]:
        """Return the affine map.

        Args:
          x: input, channels last. In eval mode only its channels and dtype matter.
          train: use the batch's statistics, and update the running ones.
          offset: bias `[C]` of the convolution before, which was not added to `x`. Normalising
            would cancel it, so only the running mean needs it.

        Returns:
          `factor` and `shift`, `[C]` each.
        """
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
                decay, rest = BATCH_NORM_DECAY, 1 - BATCH_NORM_DECAY
                running_mean.value = decay * running_mean.value + rest * (mean + offset)
                running_var.value = decay * running_var.value + rest * unbiased
        else:
            mean, var = running_mean.value - offset, running_var.value
        factor = scale * lax.rsqrt(var + BATCH_NORM_EPSILON)
        return factor, bias - mean * factor


def affine(x: jax.Array, factor: jax.Array, shift: jax.Array) -> jax.Array:
    """Return `x * factor + shift` per channel, in the dtype of `x`.

    Args:
      x: `[B,H,W,C]`.
      factor, shift: `[C]`.

    Returns:
      `[B,H,W,C]`.
    """
    return (x * per_channel(factor) + per_channel(shift)).astype(x.dtype)


def batch_moments(x: jax.Array, axis_name: str | None = None) -> tuple[jax.Array, jax.Array, int]:
    """Return the mean and the biased variance of each channel.

    Mean and mean of squares are computed in one pass and reduced in one collective. Rounding could
    make their difference negative, so the variance is clamped at 0.

    Args:
      x: `[B,H,W,C]`.
      axis_name: mapped axis to reduce over as well.

    Returns:
      Mean `[C]`, variance `[C]`, and the number of values per channel.
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

    In training mode the bias is left out, because BatchNorm would cancel it. In eval mode BatchNorm
    is folded into the kernel.

    Attributes:
      features: output channels.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Apply the block."""
        if self.has_variable(FOLDED, "kernel"):
            kernel: jax.Array = self.get_variable(FOLDED, "kernel")
            bias: jax.Array = self.get_variable(FOLDED, "bias")
            return kernels.conv_relu(x, kernel, bias)
        kernel = Kernel3x3(self.features, name="conv")(x)
        initializer = _uniform(uniform_bound(kernel.shape))
        bias = self.param("bias", initializer, (self.features,), x.dtype)
        norm = BatchNorm(self.axis_name, name="norm")
        if train:
            y = checkpoint_name(kernels.conv(x, kernel.astype(x.dtype)), CONVOLUTION)
            return nn.relu(affine(y, *norm(y, train, bias)))
        factor, shift = norm(bias, train, bias)
        kernel, bias = (kernel * per_channel(factor)).astype(x.dtype), shift.astype(x.dtype)
        if self.is_mutable_collection(FOLDED) and not self.is_initializing():
            self.put_variable(FOLDED, "kernel", kernel)
            self.put_variable(FOLDED, "bias", bias)
        return kernels.conv_relu(x, kernel, bias)


class Encoder(nn.Module):
    """Residual block that halves the size: `[B,H,W,C]` -> `[B,H/2,W/2,features]`, H and W even.

    Main path: 2x2 max-pool and two ConvBNReLU. Skip path: 1x1 convolution with stride 2, without
    bias, and BatchNorm. A ReLU follows their sum (He et al., 2016, with pooling in place of a
    strided convolution).

    Attributes:
      features: output channels.
      axis_name: mapped axis over which BatchNorm reduces.
    """

    features: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Apply the block."""
        pooled = kernels.max_pool(x)
        y = ConvBNReLU(self.features, self.axis_name, name="conv1")(pooled, train)
        y = ConvBNReLU(self.features, self.axis_name, name="conv2")(y, train)
        skip = Conv1x1(self.features, use_bias=False, name="skip_conv")(x[:, ::2, ::2])
        norm = BatchNorm(self.axis_name, name="skip_norm")
        return nn.relu(y + affine(skip, *norm(skip, train)))


class Decoder(nn.Module):
    """Block that doubles the size and adds a skip connection.

    1x1 convolution to `features`, bilinear x2, sum with `skip`, one or two ConvBNReLU.

    Attributes:
      features: output channels.
      axis_name: mapped axis over which BatchNorm reduces.
      convs: number of ConvBNReLU.
    """

    features: int
    axis_name: str | None = None
    convs: int = 2

    @nn.compact
    def __call__(self, x: jax.Array, skip: jax.Array, train: bool) -> jax.Array:
        """Apply the block.

        Args:
          x: `[B,H,W,C]`.
          skip: the encoder's feature map, `[B,2H,2W,features]`.
          train: training mode.

        Returns:
          `[B,2H,2W,features]`.
        """
        x = kernels.upsample(Conv1x1(self.features, name="reduce")(x)) + skip
        for number in range(1, self.convs + 1):
            x = ConvBNReLU(self.features, self.axis_name, name=f"conv{number}")(x, train)
        return x


class Head(nn.Module):
    """1x1 convolution to one channel of logits: `[B,H,W,C]` -> `[B,H,W,1]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the convolution."""
        return Conv1x1(1, name="conv")(x)
