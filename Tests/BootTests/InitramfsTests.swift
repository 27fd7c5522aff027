import Boot
import Testing

struct InitramfsTests {
    @Test(.enabled(if: Samples.exists("/usr/bin/cpio"), "cpio is not installed"))
    func `cpio lists what was written`() throws {
        var writer = InitramfsWriter()
        try writer.addDirectory("dev")
        try writer.addDevice("dev/console", .character(5, 1))
        try writer.addDevice("dev/vda", permissions: 0o660, .block(254, 0))
        try writer.addFile("odd", [1, 2, 3])
        try writer.addFile("/init", permissions: 0o755, Array("#!/bin/sh\n".utf8))
        try writer.addSymbolicLink("sh", to: "busybox")
        let directory = Samples.temporaryDirectory()
        defer { _ = Samples.shell("rm -r \(directory)") }
        Samples.write(writer.archive, to: directory + "/a.cpio")
        let lines = Samples.shell("cpio -itvn --quiet < \(directory)/a.cpio").split(separator: "\n").map(String.init)
        #expect(lines.count == 6)
        let expected = [
            ("drwxr-xr-x", "dev"), ("crw-------", "dev/console"), ("brw-rw----", "dev/vda"), ("-rw-r--r--", "odd"),
            ("-rwxr-xr-x", "init"), ("lrwxrwxrwx", "sh -> busybox"),
        ]
        for (line, (mode, name)) in zip(lines, expected) {
            #expect(line.hasPrefix(mode) && line.hasSuffix(" " + name), "\(line)")
        }
        #expect(lines[1].contains("5,   1") && lines[2].contains("254,   0"))
    }

    @Test(arguments: ["", "/", "a//b", "../x", "a/./b", "TRAILER!!!", "a\0b"])
    func `Names that an archive cannot hold are refused`(name: String) {
        var writer = InitramfsWriter()
        #expect(throws: BootError.self) { try writer.addFile(name, []) }
    }

    @Test func `A program that is no static ELF is refused as busybox`() {
        #expect(throws: BootError.self) { try BusyboxInitramfs(busybox: Samples.file("b", Array("#!/bin/sh".utf8))) }
    }

    @Test(.enabled(if: Samples.exists("/usr/bin/cpio"), "cpio is not installed"))
    func `The exit status program runs on the host and needs privilege for the port only`() throws {
        let directory = Samples.temporaryDirectory()
        defer { _ = Samples.shell("rm -r \(directory)") }
        let busybox = Samples.file("busybox", Samples.elf())
        let archive = try BusyboxInitramfs(
            busybox: busybox,
            command: "echo 'it''s'",
            members: [.init(name: "opt/tool/x", permissions: 0o755, content: [1])]
        ).file()
        Samples.write(archive.bytes, to: directory + "/a.cpio")
        let output = Samples.shell(
            "cd \(directory) && cpio -idm --no-absolute-filenames -f 'dev/*' < a.cpio && ls opt/tool && cat etc/viv/command"
        )
        #expect(output.contains("x\n") && output.contains("echo 'it''s'\n"))
        for argument in ["", "0", "256", "x"] {
            #expect(Samples.shell("\(directory)/etc/viv/exit-status \(argument); echo $?") == "0\n")
        }
        #expect(Samples.shell("busybox sh -n \(directory)/init; echo $?").hasSuffix("0\n"))
    }
}
