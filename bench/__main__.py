"""The command: ``python -m bench [growth | load | publish]``."""

import argparse

from bench import growth, overload, report
from bench.fill import Size
from bench.run import Plan, chosen, compare


def main() -> None:
    """Read the command line, measure, and write what was found."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = ("compare", "growth", "load", "publish")
    parser.add_argument("what", nargs="?", choices=commands, default="compare", help="what to measure (compare)")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a first impression")
    parser.add_argument("--only", default="", help="contenders, separated by commas")
    parser.add_argument("--work", default="", help="workloads, separated by commas")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (5; quick 3)")
    parser.add_argument("--seconds", type=float, help="how long each time (2; quick 0.8)")
    parser.add_argument("--connections", type=int, default=8, help="how many clients at once")
    parser.add_argument("--posts", type=int, default=Size.posts, help="how many posts there are")
    parser.add_argument("--requests", type=int, default=200_000, help="of load: requests between the two weighings")
    parser.add_argument("--publish", action="store_true", help="write the result into docs/benchmarks.md")
    options = parser.parse_args()
    match options.what:
        case "growth":
            growth.measure(quick=options.quick)
        case "load":
            overload.measure(options.requests)
        case "publish":
            report.publish()
        case _:
            _compare(options)


def _compare(options: argparse.Namespace) -> None:
    names, works = chosen(options.only, options.work)
    plan = Plan(
        Size(posts=options.posts),
        names,
        works,
        rounds=options.rounds or (3 if options.quick else 5),
        seconds=options.seconds or (0.8 if options.quick else 2.0),
        connections=options.connections,
    )
    result = report.summary(plan, compare(plan))
    report.save(result)
    print(report.markdown(result))
    if options.publish:
        report.publish()


if __name__ == "__main__":
    main()
