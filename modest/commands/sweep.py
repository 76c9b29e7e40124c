"""`python -m modest sweep`: train many variants of a config, and tabulate the results.

    python -m modest sweep --config depthnet --vary loss=bce_rmse,ssim_rmse --vary seed=0,1,2 \\
        -- --config.batch_size=8

trains every combination, each in a directory of its own (`loss=bce_rmse,seed=0`, ...) in
`runs/sweep_depthnet`. There it also writes tables of means, standard deviations over the seeds and
95 % intervals (`sweep.json` and `sweep.md`), and the validation curves (`figures/sweep.png`).

`--vary KEY=V1,V2,...` takes the values that `--config.KEY=VALUE` takes; a comma inside brackets or
quotes belongs to the value. Two keys are special: `loss` takes the variants of the config
`experiments/losses`, for any network with both heads; `config` takes configs, and replaces
`--config`. Arguments after `--` apply to every run.

All combinations are checked before the first run starts. Run the same command again to resume:
finished runs are skipped, an interrupted run is resumed. `--list` prints the commands instead, for
a scheduler.

Exit status: 0 all runs finished; 1 a run failed, and the others were still run; 2 bad input, found
before anything runs or by the first run; 143 or 130 after SIGTERM or SIGINT, once the current run
has saved.
"""

import argparse
import pathlib
import shlex

from modest.run import config_files


def main(argv: list[str]) -> int:
    """Run the sweep, list its commands, or tabulate what is finished; return the exit status.

    Raises:
      InputError: an option or a combination of values cannot be used.
    """
    options = _parser().parse_args(argv)
    from modest.sweep import plan, report, runner

    name = f"sweep_{config_files.short_name(options.config or '')}".rstrip("_")
    workdir = options.workdir or pathlib.Path("runs") / name
    runs = plan.plan(options.config, options.vary, options.common, workdir)
    if options.list:
        print("\n".join(shlex.join(run.command) for run in runs))
        return 0
    if options.report:
        report.write(workdir, runs, {})
        return 0
    return runner.run_sweep(workdir, runs)


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m modest sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="NAME[:VARIANT]", help="depthnet, or a path to a file")
    help_ = "the values of one key; repeat for more keys"
    parser.add_argument(
        "--vary", action="append", required=True, metavar="KEY=V1,V2,...", help=help_
    )
    help_ = "directory of the sweep (default: runs/sweep_NAME)"
    parser.add_argument("--workdir", type=pathlib.Path, help=help_)
    only = parser.add_mutually_exclusive_group()
    help_ = "print the command of every run, one per line, and run nothing"
    only.add_argument("--list", action="store_true", help=help_)
    help_ = "tabulate the runs that are finished, and run nothing"
    only.add_argument("--report", action="store_true", help=help_)
    help_ = "after --: an override for every run"
    parser.add_argument("common", nargs="*", metavar="--config.KEY=VALUE", help=help_)
    return parser
