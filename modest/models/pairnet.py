"""PairNet: mask and depth from two pictures that one encoder sees with the same weights.

The network compares the pictures by construction. DepthNet has to learn from examples how to
compare them, and what it learns holds for the figures that it has seen. Here the feature maps of
both pictures are subtracted at every size, as in FC-Siam-diff (Daudt, Le Saux and Boulch, "Fully
Convolutional Siamese Networks for Change Detection", 2018).

Channels and sizes for pictures of 224 px:

    each picture -> 16@224 -> 32@112 -> 48@56 -> 96@28 -> 160@14 -> 192@7

    joined at each size: 1x1 convolution of the map of bg_fg and of the absolute difference of both
    maps; at full size also of bg_fg and of the absolute difference of both pictures

    mask : joined 192@7 -> 160@14 -> 96@28 -> 48@56 -> 32@112 -> 16@224 -> head
    depth: joined 192@7 -> 96@14 -> 64@28 -> 32@56, + mask -> ... -> 16@224 -> head
"""
