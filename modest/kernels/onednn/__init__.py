"""Convolutions and whole networks computed by oneDNN, on CPU.

`signatures` declares the functions of oneDNN's shared library, `c_api` loads and calls it, and
`primitives` builds on that. XLA calls `ffi` through `xla_ffi` while training; `named_operations`,
`translation` and `program` run a network's prediction without XLA. May import `types`. Begin with
`c_api.py`.

The code uses these terms of oneDNN:

    primitive              one operation for fixed shapes and memory formats
    primitive descriptor   describes a primitive before it is created
    memory descriptor, md  shape, data type and memory format of an array
    memory object          a memory descriptor and the address of the data
    memory format          order in which an array is stored. Plain is row-major, as in NumPy.
                           Blocked stores the channels of a feature map in groups of 16
    reorder                a primitive that copies an array into another memory format
    post-op                an operation on the result of a primitive, done before it is written
    scratchpad             temporary memory that a primitive needs while it runs
"""
