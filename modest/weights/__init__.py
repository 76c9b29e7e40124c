"""Weights that come with the package, one safetensors file each; docs/models.md describes them."""
