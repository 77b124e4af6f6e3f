#!/usr/bin/python3
"""The figures of muster: prints a table and writes build/bench.json, a list of {name, unit, value, floor, ratio, bar, ok}.

usage: tests/bench/bench.py [--only WORD] [--cycles N] [--list]

Where a floor is given it is measured in the same run by build/floor, the least program that could do the job. A row is `ok` if
its value is at most its bar (or, where the bar is a multiple, if value / floor is at most that). A module beside this one has PARTS,
the parts by name: functions of the options that call rig.row. --only takes the parts whose names contain WORD.
"""
import argparse
import json
import os
import sys

import costs
import rig
import traffic

PARTS = {**costs.PARTS, **traffic.PARTS}


def main():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1])
    p.add_argument("--only", default="")
    p.add_argument("--list", action="store_true")
    p.add_argument("--cycles", type=int, default=int(os.environ.get("CYCLES", 25)), help="of each of four kinds of application")
    args = p.parse_args()
    parts = {name: part for name, part in PARTS.items() if args.only in name}
    if args.list or not parts:
        print("\n".join(PARTS))
        sys.exit(not parts)
    rig.head()
    for name, part in parts.items():
        try:
            part(args)
        except Exception as e:
            print(f"bench: {name}: {e}", file=sys.stderr)
            rig.row(name, "-", None, 0)
    with open(os.path.join(rig.BUILD, "bench.json"), "w") as f:
        json.dump(rig.rows, f, indent=1)
        f.write("\n")
    missed = [r["name"].strip() for r in rig.rows if not r["ok"]]
    print(f"{len(rig.rows)} figures, {len(missed)} missed" + (": " + "; ".join(missed) if missed else "") + f"; written to {os.path.relpath(rig.BUILD)}/bench.json")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
