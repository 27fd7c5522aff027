"""What a comparison found, and how it is shown."""
import math
import os
import re
import subprocess

LABELS = {"native": "native", "qemu": "QEMU TCG", "bochs": "Bochs"}
PEERS = [("translate", "qemu"), ("interpret", "bochs"), ("interpret", "qemu"), ("check", "interpret")]


class Comparison:
    """The best times and the results of some engines over some workloads of one size."""

    def __init__(self, engines, chosen, size):
        self.engines, self.workloads, self.size = engines, [w.name for w in chosen], size
        self.seconds, self.results, self.failures = {}, {}, {}  # by (engine, row); sets by row and engine; messages by engine
        self.memory = {}  # KiB by engine and root
        self.skipped = {}  # reasons by engine: what this host cannot run

    def add(self, engine, root, run):
        times = {name: seconds for name, _, seconds in run.rows}
        if engine != "native":
            times["start to /init, " + root] = run.start
        if run.kernel is not None:
            times["kernel to /init, " + root] = run.kernel
        for name, seconds in times.items():
            self.seconds[engine, name] = min(seconds, self.seconds.get((engine, name), seconds))
        for name, checksum, _ in run.rows:
            self.results.setdefault(name, {}).setdefault(engine, set()).add(checksum)
        if run.memory is not None:
            self.memory[engine, root] = max(run.memory, self.memory.get((engine, root), 0))

    def wrong(self):
        """A line for each workload whose results are not all one."""
        lines = []
        for name, by_engine in self.results.items():
            if len(set().union(*by_engine.values())) > 1:
                lines.append("DIFFERENT RESULTS of %s: %s" % (name, ", ".join("%s %s" % (e, "/".join(sorted(c))) for e, c in by_engine.items())))
        return lines

    def ratio(self):
        """The engine that is judged and the one that it is judged against, or None."""
        return next((pair for pair in PEERS if all(e in self.engines and e not in self.failures and e not in self.skipped for e in pair)), None)

    def table(self):
        """The Markdown table, with rows for the boot and memory, and a line for each engine that failed."""
        engines = [e for e in self.engines if e not in self.failures and e not in self.skipped]
        pair = self.ratio()
        label = lambda engine: LABELS.get(engine, "viv " + engine)
        head = ["workload"] + [label(e) + " (s)" for e in engines] + (["%s/%s" % (label(pair[1]), label(pair[0]))] if pair else []) + ["same result"]
        rows, factors = [], []
        different = " ".join(self.wrong())
        boots = sorted({name for _, name in self.seconds if "/init" in name}, key=lambda n: (n.startswith("kernel"), n))
        for name in self.workloads + boots:
            row = [name] + [cell(self.seconds.get((e, name)), "%.2f") for e in engines]
            if pair:
                mine, peer = (self.seconds.get((e, name)) for e in pair)
                factor = peer / max(mine, 0.001) if mine is not None and peer is not None else None
                row.append(cell(factor, "%.2f"))
                if name in self.workloads and factor:
                    factors.append(factor)
            row.append("" if name in boots else "**NO**" if " of %s:" % name in different else "yes" if len(engines) > 1 else "")
            rows.append(row)
        if factors:
            rows.insert(len(self.workloads), ["geometric mean"] + [""] * len(engines) + ["%.2f" % math.exp(sum(map(math.log, factors)) / len(factors)), ""])
        for root in sorted({root for _, root in self.memory}):
            row = ["MiB beyond guest RAM, " + root] + [cell(self.memory.get((e, root)), "%.1f", 1024) for e in engines]
            if pair:
                mine, peer = (self.memory.get((e, root)) for e in pair)
                row.append(cell(peer / mine if mine and peer else None, "%.2f"))
            rows.append(row + [""])
        lines = ["| " + " | ".join(row) + " |" for row in [head] + rows]
        lines.insert(1, "|---|" + "---:|" * (len(head) - 2) + "---|")
        lines += ["", *("%s was skipped: %s." % (label(e), why) for e, why in self.skipped.items())]
        lines += ["%s did not run: %s." % (label(e), why) for e, why in self.failures.items()]
        return "\n".join(lines).rstrip() + "\n"


def cell(value, form, unit=1):
    return "" if value is None else form % (value / unit)


def version(package):
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return found.stdout or "of unknown version"


def document(comparisons, rounds, clock):
    """Docs/benchmarks.md: how it was measured, then the tables."""
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read()).group(1)
    with open(".cache/guest/package") as file:
        kernel = file.read().strip()
    text = """# Benchmarks

Written by `make bench` on one host (%d × %s), one engine after the other: the same kernel
(%s) and initramfs with one processor under Debian's QEMU %s
(`-accel tcg -cpu max`), under Debian's Bochs %s and under viv; native is the same root file system by `chroot`.
Seconds are %s between lines of the serial port. Every workload's output is compared by its checksum.
`Scripts/benchmarks/workloads.py` has the commands and their sizes.

- *start to /init* begins with the process (with its firmware, where there is one), *kernel to /init* with the kernel's first line.
- *beyond guest RAM* is the most at the end of any workload of: proportional set size of all the process's mappings but those of the guest's
  RAM, plus its page tables (`smaps`, `VmPTE`). So memory that is shared with other processes counts in part, and guest RAM not at all,
  whether it is anonymous (QEMU) or a memory file mapped more than once (viv).
""" % (os.cpu_count(), model, kernel, version("qemu-system-x86"), version("bochs"),
       "the host's clock" if clock == "wall" else "processor time of the engine's process (`--clock cpu`), not the host's clock,")
    notes = {
        "full": "Fast engines, full size, the best of %d rounds in alternating order. *busybox* and *debian* are two guests: busybox alone in\n"
                "512 MiB, and busybox, python3, gcc and sqlite3 of Debian's packages in 768 MiB, all of it an initramfs (130 MB)." % rounds,
        "small": "Slow engines, small size, one round.",
    }
    for comparison in comparisons:
        text += "\n## %s size\n%s\n\n%s" % (comparison.size.capitalize(), notes.get(comparison.size, ""), comparison.table())
    return text
