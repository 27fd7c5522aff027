public import ArgumentParser
internal import Boot
internal import Glibc

/// `viv initramfs`: the archive that `viv boot --busybox` makes, as a file.
public struct InitramfsCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "initramfs",
        abstract: "Make an initramfs of a static busybox.",
        discussion: """
            The archive (cpio, newc) holds busybox, /init and what they need. Its guest gives a shell on the console, or runs one
            command; it then powers off. A command's exit status n other than 0 goes to port 0xF4 (isa-debug-exit), so that viv
            and QEMU end with 2n+1.

            EXAMPLE
                viv initramfs --busybox /bin/busybox --output initrd.img
                viv boot --kernel vmlinuz --initrd initrd.img --append console=ttyS0

            EXIT STATUS
              0      the archive was written
              1      a file could not be read or written: one line says which
              64     the command line was not understood
            """
    )

    @Option(help: ArgumentHelp("A static busybox program.", valueName: "file"))
    var busybox: String

    @Option(help: ArgumentHelp("What the guest's shell runs, instead of taking typing.", valueName: "command"))
    var command: String?

    @Option(help: ArgumentHelp("Where the archive goes; '-' is standard output.", valueName: "file"))
    var output: String

    public init() {}

    public func run() throws {
        let image: HostFile
        do throws(BootError) { image = try Self.makeImage(busybox: busybox, command: command) } catch {
            throw CommandFailure(error)
        }
        try Self.write(image.bytes, to: output)
    }

    /// The archive of `busybox`.
    ///
    /// Output of a command is left as it is: the console's terminal adds no carriage returns.
    static func makeImage(busybox: String, command: String?) throws(BootError) -> HostFile {
        try BusyboxInitramfs(
            busybox: try HostFile.read(busybox),
            command: command.map { "stty -opost 2>/dev/null\n" + $0 }
        ).file(name: busybox)
    }

    private static func write(_ bytes: [UInt8], to path: String) throws(CommandFailure) {
        func failure() -> CommandFailure {
            CommandFailure("\(path): cannot be written: \(unsafe String(cString: strerror(errno)))")
        }
        let file = path == "-" ? STDOUT_FILENO : unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw failure() }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure() }
            rest = rest.dropFirst(count)
        }
        if path != "-", close(file) != 0 { throw failure() }
    }
}
