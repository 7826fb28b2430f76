"""`greeter NAME…`"""

import sys

from rich.console import Console


def run() -> None:
    for name in sys.argv[1:] or ["world"]:
        Console().print(f"Ahoy, [bold]{name}[/bold]!")
