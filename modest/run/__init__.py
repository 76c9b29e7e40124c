"""Everything a run needs around its mathematics: config, work directory, devices, logs, signals.

`config_files` and `validation` read and check a config; `configs` saves it with a run; `workdirs`
names and locks the files of a run; `devices` is the only module that spreads work over devices
(pmap); `files` writes atomically; `logbook` records metrics, and `compilation` the seconds that XLA
takes; `runtime` prepares the process for JAX; `signals` says what a signal does, and `stopping`
lets a run save first. May import `backend` and every package before it in the list of
docs/design.md, and the top-level modules. Begin with `config_files.py`.
"""
