"""modest: monocular depth and foreground segmentation from a pair of pictures, in JAX and Flax."""
