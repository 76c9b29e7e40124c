"""The drawn world: a data set with more variety than the embedded one.

Begin with `dataset`. Places (rooms, halls, streets, parks): `places` lays them out for the ray
caster of `synthetic`. Things: `things` and `furniture` draw them from `shapes` and `surfaces`.
`pasting` puts people and things into places. May import the modules of `modest/data/` and
`modest/data/synthetic/`, and the top-level modules.
"""
