"""The training state: what it holds, how it starts, and how it is saved and restored.

`train_state` defines it and runs the network forward; `optimizer` builds SGD and its schedule;
`checkpoint` saves a pytree that `manifest` describes; `restore` finds the best state of a work
directory. May import `models`, `run` and the top-level modules. Begin with `train_state.py`.
"""
