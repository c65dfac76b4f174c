"""Debian's Chromium without a screen: what a page looks like, and what it is when a browser has read it."""

import subprocess

CHROMIUM = (
    "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-extensions", "--hide-scrollbars",
)  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"


def run(folder, *words):
    done = subprocess.run(
        [*CHROMIUM, f"--user-data-dir={folder / 'profile'}", *words],
        check=True, capture_output=True, timeout=90,
    )  # fmt: skip
    return done.stdout.decode()


def dom(folder, url):
    """The document as the browser has it."""
    return run(folder, "--dump-dom", url)


def picture(folder, url, size, *, dark=False):
    """A screenshot as a file."""
    path = folder / f"{size}{'-dark' if dark else ''}.png"
    run(folder, *([DARK] if dark else []), f"--window-size={size}", f"--screenshot={path}", url)
    return path
