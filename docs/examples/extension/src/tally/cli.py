"""`tally < FILE`: the five most frequent bytes."""

import sys

from tally import count


def main() -> None:
    seen = count(sys.stdin.buffer.read())
    for byte in sorted(range(256), key=lambda b: (-seen[b], b))[:5]:
        print(f"{byte:#04x} {seen[byte]}")
