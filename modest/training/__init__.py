"""Training: from a config to an evaluated network.

`loop.fit` is the whole run; `setup` makes what the loop needs; `step` is what one batch does to the
state; `warm_start` starts from existing weights; `lr_range` is the learning rate range test. May
import `evaluation` and every package before it in the list of docs/design.md. Begin with `loop.py`,
then `step.py`.
"""
