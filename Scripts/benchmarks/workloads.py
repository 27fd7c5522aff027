"""The workloads of Scripts/bench: what runs in the guest, and how large it is for fast engines and for slow ones."""
import collections

# root: busybox or debian, the guest that it needs. full and small: the value of $N. Commands write their result, which is compared.
Workload = collections.namedtuple("Workload", "name root full small command")
SIZES = ("full", "quick", "small")

WORKLOADS = [
    Workload("sha256", "busybox", 64, 3, "$B dd if=/dev/zero bs=1M count=$N 2>/dev/null | $B sha256sum"),
    Workload("md5", "busybox", 128, 12, "$B dd if=/dev/zero bs=1M count=$N 2>/dev/null | $B md5sum"),
    Workload("awk", "busybox", 1000000, 60000, "$B awk \"BEGIN{for(i=0;i<$N;i++)s+=i*i%7;print s}\""),
    Workload("gzip", "busybox", 8000000, 1900000, "$B cat $B $B $B $B $B | $B head -c $N | $B gzip -9n"),
    Workload("bzip2", "busybox", 3900000, 400000, "$B cat $B $B | $B head -c $N | $B bzip2"),
    Workload("forkexec", "busybox", 500, 25, "i=0; while [ $i -lt $N ]; do $B true; i=$((i+1)); done; echo $i"),
    Workload("shell", "busybox", 150000, 8000, "i=0; while [ $i -lt $N ]; do i=$((i+1)); done; echo $i"),
    Workload("syscalls", "busybox", 300000, 15000, "$B dd if=/dev/zero of=/dev/null bs=1 count=$N 2>/dev/null; echo $N"),
    Workload("python3", "debian", 10, 1, "i=0; while [ $i -lt $N ]; do python3.11 -c 'import json, re; print(json.dumps([1]))'; i=$((i+1)); done"),
    Workload("gcc", "debian", 2, 1, "i=0; while [ $i -lt $N ]; do gcc-12 -O2 -o /tmp/program /program.c; i=$((i+1)); done; $B cat /tmp/program; /tmp/program"),
    Workload("sqlite3", "debian", 60000, 5000, "$B sed s/ROWS/$N/ /queries.sql | sqlite3 :memory:"),
]

PRELUDE = """B=/bin/busybox PATH=/usr/bin:/bin HOME=/root
export B PATH HOME N
t() { N=$2; m=$({ $B sh -c "$3" 2>&1; echo $? >/tmp/status; } | $B md5sum); read s </tmp/status; echo "BENCH $1 ${m%% *} $s"; }
"""

# The pause lets the last line leave the serial port: the kernel's own messages do not wait for it.
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
echo "BENCH init -"
$B sh /workloads.sh
$B sleep 1
$B poweroff -f
"""


def count(workload, size):
    """The value of $N; quick is an eighth of full, but no less than small."""
    return max(workload.small, workload.full // 8) if size == "quick" else getattr(workload, size)


def script(workloads, size):
    """The shell script that runs the workloads one after another; a line 'BENCH name checksum status' ends each."""
    quote = lambda text: "'" + text.replace("'", "'\\''") + "'"
    lines = ["t %s %d %s" % (w.name, count(w, size), quote(w.command)) for w in workloads]
    return PRELUDE + "\n".join(lines) + "\necho 'BENCH end -'\n"
