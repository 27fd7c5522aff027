"""Runs a machine until its last workload, with the host's time of each line of its console and the host's memory that it takes."""
import collections
import os
import re
import select
import subprocess
import sys
import time

# start: seconds from the command to 'BENCH init'; kernel: from "Linux version" to there, None without that line.
# rows: (name, checksum, seconds since the line before); memory: most KiB beyond guest RAM, None where it was not asked for.
Run = collections.namedtuple("Run", "start kernel rows memory")


class RunError(Exception):
    """A run that did not come to its end; the message says which and why."""


def memory_beyond_ram(pid, ram_kib):
    """KiB of host memory that the process takes beyond its guest's RAM: proportional set size plus page tables.

    The guest's RAM is the memfd of that size, wherever and however often it is mapped, or else the one anonymous mapping of that size.
    """
    mappings = []  # [size, file's inode or 0, name, Pss], KiB
    with open("/proc/%d/smaps" % pid) as smaps:
        for line in smaps:
            words = line.split()
            if not words[0].endswith(":"):
                first, last = (int(address, 16) for address in words[0].split("-"))
                mappings.append([(last - first) // 1024, int(words[4]), " ".join(words[5:]), 0])
            elif words[0] == "Pss:":
                mappings[-1][3] = int(words[1])
    with open("/proc/%d/status" % pid) as status:
        page_tables = int(re.search(r"VmPTE:\s*(\d+)", status.read()).group(1))
    if not mappings:  # it has just ended
        return 0
    files = {inode for size, inode, name, _ in mappings if size == ram_kib and name.startswith("/memfd:guest-ram")}
    of_ram = [m for m in mappings if m[1] in files] if files else [m for m in mappings if m[0] == ram_kib and m[1] == 0]
    if not of_ram or (not files and len(of_ram) > 1):
        raise RunError("no single mapping of %d KiB is the guest's RAM" % ram_kib)
    return page_tables + sum(m[3] for m in mappings) - sum(m[3] for m in of_ram)


def processor_seconds(pid):
    """Processor time of the process and of its children that ended."""
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def run(command, log, limit, serial_file=None, ram_kib=None, environment=None, clock="wall"):
    """Runs the command until 'BENCH end' is on its console: its standard output, or serial_file.

    The clock is wall, or cpu: the command's own processor time, in steps of 10 ms, which other work on the host disturbs less.
    LOG gets the console, LOG.err the standard error. After the end the command has ten seconds to end by itself. Throws RunError.
    """
    began = time.monotonic()
    start = began if clock == "wall" else 0
    console, errors = open(log, "wb"), open(log + ".err", "wb")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if serial_file else subprocess.PIPE, stderr=errors,
                             env=environment)
    reading = time.monotonic if clock == "wall" else lambda: processor_seconds(child.pid)
    rows, kernel_at, init_at, before, pending, memory, ended = [], None, None, start, b"", None, False
    source = None if serial_file else child.stdout.fileno()
    try:
        while not ended and time.monotonic() - began < limit:
            if serial_file:
                if source is None and os.path.exists(serial_file):
                    source = os.open(serial_file, os.O_RDONLY)
                data = os.read(source, 65536) if source is not None else b""
                if not data:
                    if child.poll() is not None:
                        break
                    time.sleep(0.005)
                    continue
            else:
                if not select.select([source], [], [], 0.5)[0]:
                    continue
                data = os.read(source, 65536)
                if not data:
                    break
            now = reading()
            console.write(data)
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                if b"Linux version" in line and kernel_at is None:
                    kernel_at = now
                found = re.search(rb"BENCH (\S+) (-|[0-9a-f]{32} (\d+))\r?$", line)
                if not found:
                    continue
                name, checksum, result = (word.decode("latin-1") if word else None for word in found.groups())
                if result not in (None, "0"):
                    raise RunError("%s: the workload %s ended with status %s" % (os.path.basename(command[0]), name, result))
                if name == "init":
                    init_at = now
                elif name == "end":
                    ended = True
                else:
                    rows.append((name, checksum.split()[0], max(now - before, 0)))
                if ram_kib and not ended:
                    memory = max(memory or 0, memory_beyond_ram(child.pid, ram_kib))
                before = now  # the guest runs on while its memory is read
        try:  # what closed its output is about to end
            child.wait(10 if ended and not serial_file else 1)
        except subprocess.TimeoutExpired:
            pass
    finally:
        status = child.poll()
        if status is None:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        console.close()
        errors.close()
    if not ended or init_at is None:
        last = [line for line in open(log + ".err", errors="replace").read().splitlines() if line.strip()][-1:]
        why = "did not finish in %g s" % limit if status is None else "ended with status %d" % status
        raise RunError("%s %s before its last workload%s" % (os.path.basename(command[0]), why, ": " + last[0] if last else ""))
    return Run(init_at - start, init_at - kernel_at if kernel_at else None, rows, memory)
