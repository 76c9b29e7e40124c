"""What the benchmarks run: jobs in processes of their own, PyTorch's networks, planned faults.

The commands are the modules of `benchmarks/`.
"""
