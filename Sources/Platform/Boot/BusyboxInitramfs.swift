/// An initramfs of a static busybox: it gives a shell on the console, or runs one command, and then powers the guest off.
///
/// The command's exit status reaches the host so: 0 as a plain power-off, any other n as a write of n to port 0xF4
/// (isa-debug-exit), for which `viv` and QEMU report 2 n + 1. A guest whose shell ends powers off.
public struct BusyboxInitramfs: Sendable {
    /// A further member of the archive; its directories are made.
    public struct Member: Hashable, Sendable {
        public var name: String
        public var permissions: UInt32
        public var content: [UInt8]

        public init(name: String, permissions: UInt32 = 0o644, content: [UInt8]) {
            self.name = name
            self.permissions = permissions
            self.content = content
        }
    }

    public var busybox: HostFile
    /// What the guest's shell runs; nil for an interactive shell.
    public var command: String?
    public var members: [Member]

    /// Takes a busybox program, which must be a static x86 ELF file.
    public init(busybox: HostFile, command: String? = nil, members: [Member] = []) throws(BootError) {
        let interpreter: UInt32 = 3
        guard try !ELFImage(busybox).segments.contains(where: { $0.type == interpreter }) else {
            throw .unsupported(
                path: busybox.path,
                field: "the program's linking",
                value: "dynamic",
                wanted: "a static busybox"
            )
        }
        self.busybox = busybox
        self.command = command
        self.members = members
    }

    /// The archive, to be given to a kernel as its initrd.
    public func file(name: String = "initramfs") throws(BootError) -> HostFile {
        var writer = InitramfsWriter()
        var directories: Set<String> = []
        func makeDirectory(_ path: String) throws(BootError) {
            guard directories.insert(path).inserted else { return }
            try writer.addDirectory(path, permissions: path == "tmp" ? 0o1777 : 0o755)
        }
        for path in ["bin", "dev", "etc", "etc/viv", "proc", "root", "run", "sys", "tmp"] { try makeDirectory(path) }
        // The kernel opens the console for /init before devtmpfs is there.
        try writer.addDevice("dev/console", .character(5, 1))
        try writer.addDevice("dev/null", permissions: 0o666, .character(1, 3))
        try writer.addFile("bin/busybox", permissions: 0o755, busybox.bytes)
        try writer.addSymbolicLink("bin/sh", to: "busybox")
        try writer.addFile("etc/viv/exit-status", permissions: 0o755, ExitStatusProgram.bytes)
        try writer.addFile("init", permissions: 0o755, Array(initScript.utf8))
        if let command { try writer.addFile("etc/viv/command", Array((command + "\n").utf8)) }
        for member in members {
            let parts = member.name.split(separator: "/")
            for count in 1..<max(1, parts.count) { try makeDirectory(parts[..<count].joined(separator: "/")) }
            try writer.addFile(member.name, permissions: member.permissions, member.content)
        }
        return HostFile(name: name, bytes: writer.archive)
    }

    private var initScript: String {
        let start = """
            #!/bin/busybox sh
            export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
            [ -n "$TERM" ] || export TERM=linux
            /bin/busybox mount -t proc proc /proc
            /bin/busybox mount -t sysfs sysfs /sys
            /bin/busybox mount -t devtmpfs devtmpfs /dev
            /bin/busybox mkdir -p /dev/pts /dev/shm
            /bin/busybox mount -t devpts devpts /dev/pts
            /bin/busybox --install -s /bin
            exec </dev/console >/dev/console 2>&1
            cd /root

            """
        let work =
            command == nil
            ? """
            setsid cttyhack sh
            status=0

            """
            : """
            sh /etc/viv/command
            status=$?

            """
        let end = """
            /etc/viv/exit-status "$status"
            [ "$status" = 0 ] || echo "init: exit status $status did not reach the host"
            poweroff -f
            while :; do sleep 1; done

            """
        return start + work + end
    }
}
