"""The properties of the machine on which the numbers depend."""

import os
import pathlib
import platform
import re
import subprocess


def describe(postgres_programs):
    return {
        "cpu": _first(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "file_system": _first("(.*)", _output("findmnt", "--noheadings", "--output=FSTYPE", "--target=/var/tmp")),
        "os": platform.freedesktop_os_release()["PRETTY_NAME"],
        "kernel": platform.release(),
        "postgresql": _first(r"([\d.]+)", _output(f"{postgres_programs}/postgres", "--version")),
        "rustc": _first(r"rustc ([\d.]+)", _output("rustc", "--version")),
        "wrk": _first(r"([\d.]+)", _output("wrk", "--version")),
    }


def cores():
    return len(os.sched_getaffinity(0))


def is_busy():
    return os.getloadavg()[0] > cores() / 2


def commit():
    """The short name of the commit, marked if files have changed."""
    # The results do not affect what is measured.
    changed = _output("git", "status", "--porcelain", "--", ":/", ":!/docs", ":!/*.md")
    return _first("(.*)", _output("git", "rev-parse", "--short", "HEAD")) + ("-dirty" if changed else "")


def _output(*command):
    # wrk prints its version with exit code 1.
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=10).stdout


def _first(pattern, text):
    found = re.search(pattern, text)
    return found.group(1) if found and found.group(1) else "unknown"
