"""Convolutions and whole networks computed by oneDNN, on CPU.

`custom_call` uses the oneDNN inside jaxlib. The rest uses oneDNN 3.1's own shared library: `c_api`
binds it, `primitives` builds on that. XLA calls `ffi` through `xla_ffi` while training;
`named_operations`, `translation` and `program` run a network's prediction without XLA. May import
`types`. Begin with `c_api.py`.
"""
