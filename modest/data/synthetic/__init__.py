"""The embedded data set: rooms and people that are drawn, so that no download is needed.

Begin with `dataset`, which combines them into pictures, masks and depths. Rooms: `rooms` lays one
out, `furnishing` fills it, `raycast` renders it, `textures` colours its surfaces. People: `people`
poses one, `wardrobe` chooses the clothes, `body` and `head` paint them on the canvas of `drawing`.
`augmentation_sheet` shows the augmentation. May import the modules of `modest/data/` and the
top-level modules.
"""
