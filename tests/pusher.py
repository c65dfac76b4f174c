"""A sender in a process of its own: pushes instances one by one and prints the numbers of those acknowledged."""

import sys

from factories import mr

from scp.retrieve.send import SendError, send


def unlike(number):
    """An instance whose pixels no other has; each hundred is a study of its own."""
    uid = f"2.25.{10**20 + number}"
    pixels = number.to_bytes(4, "little") * 8
    return mr(number // 100, SOPInstanceUID=uid, InstanceNumber=str(number), PixelData=pixels)


def push(port, numbers):
    """Send these instances, beginning a new association behind the one that was under way when the last one broke."""
    rest = list(numbers)
    while rest:
        done = [0]

        def progress(count, _all, done=done):
            done[0] = count

        try:
            statuses = send(
                [unlike(number) for number in rest],
                host="127.0.0.1",
                port=port,
                called="CLOAKROOM",
                calling="PACS",
                progress=progress,
            )
        except (SendError, OSError):
            statuses = [0x0000] * done[0]
        for number, status in zip(rest, statuses, strict=False):
            if status == 0x0000:
                print(number, flush=True)  # noqa: T201  the parent reads it
        rest = rest[len(statuses) + 1 :]


if __name__ == "__main__":
    first, count = int(sys.argv[2]), int(sys.argv[3])
    push(int(sys.argv[1]), range(first, first + count))
