"""Primitive descriptors of the operations of a translated network.

Each function takes an operation, the memory descriptors of its inputs and of its result, the
attributes with its post-ops, and whether the feature maps are in the blocked format. `onednn`
(`__init__.py`) explains these terms.
"""

from ctypes import c_void_p

from modest.kernels.onednn import c_api, primitives, signatures
from modest.kernels.onednn.translation import NotTranslatable


def _conv(operation, src_mds, dst_md, attributes, is_blocked):
    height, width, inputs, outputs = operation.kernel.shape
    weights_md = c_api.any_md(outputs, inputs, height, width)
    bias_md = c_api.plain_md((outputs,), c_api.VECTOR_AXES)

    def forward(algorithm):
        return primitives.convolution_forward(
            algorithm,
            c_api.FORWARD_INFERENCE,
            src_mds[0],
            weights_md,
            dst_md,
            (height, width),
            operation.strides,
            bias_md,
            attributes,
        )

    primitive_desc = None
    if is_blocked and primitives.winograd_is_faster(operation.shape, operation.kernel.shape):
        primitive_desc = forward(c_api.CONVOLUTION_WINOGRAD)
    if primitive_desc is None:
        primitive_desc = forward(c_api.CONVOLUTION_DIRECT)
    if primitive_desc is None:
        raise NotTranslatable(f"no convolution with a kernel of shape {operation.kernel.shape}")
    return primitive_desc


def _max_pool(operation, src_mds, dst_md, attributes, is_blocked):
    twos, zeros = signatures.Dims(2, 2), signatures.Dims(0, 0)
    return c_api.primitive_desc(
        "pooling_forward",
        c_api.engine(),
        c_api.FORWARD_INFERENCE,
        c_api.POOLING_MAX,
        *src_mds,
        dst_md,
        twos,  # strides
        twos,  # kernel
        zeros,  # dilation
        zeros,  # left padding
        zeros,  # right padding
        attributes,
    )


def _upsample(operation, src_mds, dst_md, attributes, is_blocked):
    return c_api.primitive_desc(
        "resampling_forward",
        c_api.engine(),
        c_api.FORWARD_INFERENCE,
        c_api.RESAMPLING_LINEAR,
        None,  # factors, which follow from the shapes
        *src_mds,
        dst_md,
        attributes,
    )


def _binary(operation, src_mds, dst_md, attributes, is_blocked):
    algorithm = BINARY[operation.kind]
    return c_api.primitive_desc("binary", c_api.engine(), algorithm, *src_mds, dst_md, attributes)


def _concatenate(operation, src_mds, dst_md, attributes, is_blocked):
    axis = 1  # of NCHW: channels
    mds = (c_void_p * len(src_mds))(*(md.address for md in src_mds))
    return c_api.primitive_desc(
        "concat", c_api.engine(), dst_md, len(src_mds), axis, mds, attributes
    )


BINARY = {"add": c_api.BINARY_ADD, "subtract": c_api.BINARY_SUB}

# For each kind of operation: the function, and the primitive's arguments that are its inputs.
PRIMITIVE_DESCS = {
    "conv": (_conv, (c_api.ARG_SRC, c_api.ARG_BINARY_POST_OP)),
    "max_pool": (_max_pool, (c_api.ARG_SRC,)),
    "upsample": (_upsample, (c_api.ARG_SRC,)),
    "add": (_binary, (c_api.ARG_SRC, c_api.ARG_SRC_1)),
    "subtract": (_binary, (c_api.ARG_SRC, c_api.ARG_SRC_1)),
    "concatenate": (_concatenate, range(c_api.ARG_MULTIPLE_SRC, c_api.ARG_MULTIPLE_SRC + 16)),
}
