"""The training state: what it holds, how it starts, and how it is saved and restored.

`train_state` defines the state and runs the network forward; `optimizer` builds SGD and its
schedule; `checkpoint` saves any pytree; `manifest` describes the arrays of a pytree; `restore`
finds the best state of a work directory; `weights` reads and writes safetensors. May import
`models`, `run` and the top-level modules. Begin with `train_state.py`.
"""
