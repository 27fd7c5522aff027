"""The engines that Scripts/bench compares: how each is started with the same kernel, initramfs and one processor."""
import os
import subprocess
import tempfile

import console
import workloads

CACHE = os.path.join(os.getcwd(), ".cache")
KERNEL = CACHE + "/guest/vmlinuz"
MEMORY = {"busybox": 512, "debian": 768}  # MiB; not QEMU's translation buffer of 1 GiB, so that its mapping can be told from RAM's
APPEND = "console=ttyS0 earlyprintk=serial,ttyS0,115200 panic=-1 tsc=reliable"
BOCHS_CONFIGURATION = """megs: {memory}
cpu: model=corei7_haswell_4770, count=1, reset_on_triple_fault=0, ips=50000000
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path={work}/guest.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={work}/serial
display_library: rfb, options="timeout=0"
sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
clock: sync=none
log: {work}/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""
NATIVE = """set -e
mount --rbind /dev "$0/dev"
mount --rbind /proc "$0/proc"
mount -t tmpfs tmpfs "$0/tmp"
exec chroot "$0" /bin/busybox sh -c "$1"
"""


def packages(engines):
    """Installs what the chosen engines need, or ends with a message."""
    wanted = []
    if "qemu" in engines:
        wanted.append("qemu-system-x86_64:qemu-system-x86")
    if "bochs" in engines:
        wanted += ["bochs-bin:bochs", "grub-mkrescue:grub-common", "xorriso:xorriso", "mformat:mtools"]
        for file, package in (("/usr/lib/grub/i386-pc", "grub-pc-bin"), ("/usr/share/bochs/BIOS-bochs-latest", "bochsbios"),
                              ("/usr/share/bochs/VGABIOS-lgpl-latest", "vgabios")):
            if not os.path.exists(file):
                wanted.append("no-command:" + package)
    subprocess.run(["Scripts/packages", *wanted], check=True)


def unavailable(engine):
    """Why this host cannot run the engine at all, or None. Native runs need a mount namespace, which some containers refuse."""
    if engine != "native":
        return None
    tried = subprocess.run([*unshare(), "true"], capture_output=True, text=True)
    return (tried.stderr.strip() or "unshare fails") if tried.returncode else None


def unshare():
    """A mount namespace: as root, or by a user namespace."""
    return ["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-m"]


def archive(files):
    """A cpio archive of the form that Linux takes (newc), of files by name; all are executable."""
    data = b""
    for name, content in [*files.items(), ("TRAILER!!!", "")]:
        body, mode = content.encode(), 0o100755 if content else 0
        fields = [0, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name) + 1, 0]
        data += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        data += b"\0" * (-len(data) % 4) + body
        data += b"\0" * (-len(data) % 4)
    return data


def initramfs(root, script, path):
    """Writes the root's archive, followed by one of /init and the script: Linux unpacks both."""
    with open("%s/bench/%s.cpio" % (CACHE, root), "rb") as base, open(path, "wb") as out:
        out.write(base.read())
        out.write(b"\0" * (-out.tell() % 4) + archive({"init": workloads.INIT, "workloads.sh": script}))


def native_command(root, script):
    """The script in a changed root of its own mount namespace."""
    return [*unshare(), "sh", "-c", NATIVE, "%s/bench/%s" % (CACHE, root), "echo 'BENCH init -'\n" + script]


def run(engine, viv, root, script, limit, options=(), clock="wall"):
    """One run of the script. An engine is native, qemu, bochs or any of viv's own. Throws console.RunError."""
    logs = CACHE + "/bench/logs"
    os.makedirs(logs, exist_ok=True)
    log = "%s/%s-%s" % (logs, engine, root)
    memory = MEMORY[root]
    with tempfile.TemporaryDirectory(prefix="viv-bench.") as work:
        if engine == "native":
            return console.run(native_command(root, script), log, limit, clock=clock)
        initrd = work + "/initrd"
        initramfs(root, script, initrd)
        if engine == "bochs":
            return run_bochs(work, log, memory, limit * 2, clock)
        if engine == "qemu":
            command = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "pc", "-cpu", "max", "-nodefaults", "-display", "none", "-serial", "stdio",
                       "-no-reboot", "-kernel", KERNEL, "-initrd", initrd, "-append", APPEND, "-m", str(memory), "-smp", "1"]
        else:
            command = [viv, "boot", "--kernel", KERNEL, "--initrd", initrd, "--append", APPEND, "--memory", "%dM" % memory, "--cpus", "1",
                       "--serial", "stdio", "--no-reboot", "--engine", engine, *options]
        return console.run(command, log, limit, ram_kib=memory * 1024, clock=clock)


def run_bochs(work, log, memory, limit, clock):
    """Bochs loads no kernel itself: GRUB does, from a CD image."""
    os.makedirs(work + "/iso/boot/grub")
    os.link(work + "/initrd", work + "/iso/boot/initrd")
    with open(KERNEL, "rb") as kernel, open(work + "/iso/boot/vmlinuz", "wb") as copy:
        copy.write(kernel.read())
    with open(work + "/iso/boot/grub/grub.cfg", "w") as configuration:
        configuration.write("set timeout=0\nmenuentry guest {\n linux /boot/vmlinuz %s\n initrd /boot/initrd\n}\n" % APPEND)
    subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", work + "/guest.iso", work + "/iso"], check=True, capture_output=True)
    with open(work + "/bochsrc", "w") as configuration:
        configuration.write(BOCHS_CONFIGURATION.format(memory=memory, work=work))
    with open(work + "/go", "w") as commands:
        commands.write("c\n")  # Debian's build starts in its debugger
    return console.run(["bochs-bin", "-q", "-f", work + "/bochsrc", "-rc", work + "/go"], log, limit, serial_file=work + "/serial",
                       environment={**os.environ, "TERM": "dumb"}, clock=clock)
