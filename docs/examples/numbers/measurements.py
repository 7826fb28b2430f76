"""Summary of measurements: CSV with `sensor,value` on standard input, a table on standard output."""

import sys

import numpy as np
import pandas as pd


def main() -> None:
    table = pd.read_csv(sys.stdin)
    summary = table.groupby("sensor")["value"].agg(["count", "mean", "max"])
    summary["rms"] = table.groupby("sensor")["value"].agg(lambda v: np.sqrt(np.mean(np.square(v))))
    print(summary.round(3).to_string())
