"""Prints the units that the inventory counts in."""

import pkgutil

from tabulate import tabulate


def main() -> None:
    units = pkgutil.get_data("inventory", "units.txt").decode().split()
    print(tabulate(enumerate(units, 1), headers=["no", "unit"]))
