"""What must be known and set before JAX starts: its platform, XLA's flags, the compilation cache.

`platforms` says whether JAX will use a GPU; `xla_flags` and `compilation_cache` depend on that.
Nothing here imports JAX. May import nothing of `modest`. Begin with `platforms.py`.
"""
