"""Prints a CSV of meter readings: the same bytes on every machine for the same number of rows."""

import sys


def rows(count):
    state = 20_240_229
    for number in range(count):
        # A 64-bit linear congruential generator (Knuth's constants): no library's randomness, which may change.
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        meter, value = (state >> 33) % 5000, (state >> 40) % 100_000
        day, second = divmod(number * 2, 86_400)
        yield f"{number},2024-01-{day + 1:02d}T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z,meter-{meter:04d},{value / 100:.2f},kWh\n"


if __name__ == "__main__":
    sys.stdout.writelines(rows(int(sys.argv[1])))
