"""Inference: mask and depth of pictures of any size, with the network of a work directory.

`predict` runs the network; `fitting` makes the background fit first, by `alignment`, `motion` and
`agreement`. `frames` reads directories, and videos by `video_reader`; `clip` is what is known of
them afterwards. `output` writes the results of a pair or of many pictures, videos by
`video_writer`; `output_directory` says which files they may replace. May import `state`, every
package before it in the list of docs/design.md, and `evaluation.figures`. Begin with `predict.py`.
"""
