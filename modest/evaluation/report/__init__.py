"""The report: one self-contained HTML page about one or several runs, from their files alone.

`runs` reads the work directories, `plots` and `examples` draw, `sections` and `page` write HTML. No
JAX is needed. The page needs neither scripts nor a network. Begin with `page.py`.
"""
