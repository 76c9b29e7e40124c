"""The recipe: make a data set in the MODEST layout from backgrounds and cut-outs.

Begin with `build.make`. `settings` holds the `Recipe`, whose fields are command-line options, and
imports no NumPy, so that `--help` is immediate. `plan` checks every input before anything is
written; `inputs` reads them, `depth_maps` converts depth to metres; `composites` makes the
composites of one background. docs/recipe.md explains the recipe. May import `data/synthetic`, the
modules of `modest/data/`, and every package before those in the list of docs/design.md.
"""
