"""Batches for training and evaluation.

`loader` decodes stored composites on the host. `device_composites` makes new composites on the
device from a library of backgrounds and cut-outs, which `library_loader` reads and `cutouts`
pastes. `scenes` makes more various ones, with `figure_layers`, `panes` and `camera`. `sources`
gives all of them the same interface for training. May import `modest.data.museum` and every package
before it in the list of docs/design.md. Begin with `loader.py`.
"""
