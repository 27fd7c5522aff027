import ArgumentParser
import DiskImage
import Engine
import Testing

@testable import CommandLine
@testable import VirtualMachine

@Suite struct OptionTests {
    @Test(arguments: [
        ("512M", 512 << 20), ("2G", 2 << 30), ("1024K", 1 << 20), ("1T", 1 << 40), ("64", 64 << 20), ("1g", 1 << 30),
        ("3GiB", 3 << 30), ("8mb", 8 << 20),
    ])
    func `A size is a number and a suffix, MiB without one`(text: String, bytes: Int) {
        #expect(ByteCount(argument: text)?.bytes == bytes)
    }

    @Test(arguments: ["", "M", "-1M", "1.5G", "12X", "9999999999999T", "99999999999999999999", "1 G", "٣G"])
    func `What is no size is refused`(text: String) { #expect(ByteCount(argument: text) == nil) }

    @Test func `A size prints with the largest suffix that divides it`() {
        #expect(ByteCount(bytes: 512 << 20).description == "512M")
        #expect(ByteCount(bytes: 1536 << 20).description == "1536M")
        #expect(ByteCount(bytes: 2 << 30).description == "2G")
        #expect(ByteCount(bytes: 1000).description == "1000B")
    }

    @Test(arguments: [
        ("stdio", SerialPort.standardIO), ("none", .disconnected), ("pty", .pseudoTerminal),
        ("file:a:b", .file(path: "a:b")),
        ("unix:/run/x", .unixSocket(path: "/run/x")),
    ])
    func `A serial port is named by its kind and path`(text: String, port: SerialPort) {
        #expect(SerialPort(argument: text) == port)
    }

    @Test(arguments: ["", "file", "file:", "tcp:1", "stdin", "unix:"])
    func `What is no serial port is refused`(text: String) { #expect(SerialPort(argument: text) == nil) }

    @Test func `A disk is a file, perhaps read-only, and a doubled comma is part of its name`() {
        #expect(DiskConfiguration(argument: "a.img") == DiskConfiguration(path: "a.img"))
        #expect(DiskConfiguration(argument: "a.img,readonly") == DiskConfiguration(path: "a.img", isReadOnly: true))
        let overlay = DiskConfiguration(path: "a.img", isReadOnly: true, format: .qcow2)
        #expect(DiskConfiguration(argument: "a.img,format=qcow2,readonly") == overlay)
        #expect(DiskConfiguration(argument: "a.img,format=floppy") == nil)
        #expect(DiskConfiguration(argument: "a,,b") == DiskConfiguration(path: "a,b"))
        #expect(DiskConfiguration(argument: "a,b") == nil)
        #expect(DiskConfiguration(argument: ",readonly") == nil)
        #expect(DiskConfiguration(argument: "a,readonly,readonly") == nil)
    }

    @Test func `A disk takes a serial number, queues and limits`() {
        var disk = DiskConfiguration(path: "a.img")
        disk.serial = "x,1"
        disk.queueCount = 3
        disk.requestsPerSecond = 100
        disk.bytesPerSecond = 2 << 20
        #expect(DiskConfiguration(argument: "a.img,serial=x,,1,queues=3,iops=100,bps=2M") == disk)
        #expect(DiskConfiguration(argument: "a.img,bps=4096")?.bytesPerSecond == 4096)
        for bad in [
            "queues=0", "queues=17", "queues=", "iops=0", "bps=x", "serial=", "serial=123456789012345678901",
            "iops=1,iops=2",
        ] {
            #expect(DiskConfiguration(argument: "a.img," + bad) == nil, "\(bad)")
        }
    }

    @Test func `A trace is a list of classes and perhaps a file`() {
        #expect(TraceConfiguration(argument: "exits,io") == TraceConfiguration(events: [.exits, .io]))
        #expect(TraceConfiguration(argument: "blocks:f:g") == TraceConfiguration(events: .blocks, path: "f:g"))
        #expect(TraceConfiguration(argument: "all")?.events == [.exits, .exceptions, .io, .blocks])
        for text in ["", "exit", "io,", "io:", ":f"] { #expect(TraceConfiguration(argument: text) == nil) }
    }
}

@Suite struct BootCommandTests {
    private func parse(_ words: String...) throws -> BootCommand {
        try #require(try Viv.parseAsRoot(["boot"] + words) as? BootCommand)
    }

    @Test func `Defaults are one processor, 512 MiB, this terminal and the host's time`() throws {
        let command = try parse("--kernel", "k")
        #expect(command.cpus == 1)
        #expect(command.memory.bytes == 512 << 20)
        #expect(command.serial == .standardIO)
        #expect(command.clock == .host)
        #expect(command.engine == .auto)
        #expect(command.cpu == "auto")
    }

    @Test func `Disks repeat and keep their order`() throws {
        let command = try parse("--kernel", "k", "--disk", "a", "--disk", "b,readonly")
        #expect(command.disk.map(\.path) == ["a", "b"])
        #expect(command.disk.map(\.isReadOnly) == [false, true])
    }

    @Test(arguments: [
        [], ["--kernel", "k", "--engine", "kvm"], ["--kernel", "k", "--symbols", "s"],
        ["--kernel", "k", "--cpus", "0"],
        ["--kernel", "k", "--cpus", "65"], ["--kernel", "k", "--cpu", "z80"], ["--kernel", "k", "--memory", "1M"],
        ["--firmware", "f", "--kernel", "k"], ["--kernel", "k", "--command", "true"],
        ["--kernel", "k", "--busybox", "b", "--initrd", "i"], ["--kernel", "k", "--no-such-option"],
    ])
    func `What cannot be is refused as a usage error`(words: [String]) {
        #expect { try Viv.parseAsRoot(["boot"] + words) } throws: { Viv.exitCode(for: $0) == .validationFailure }
    }

    @Test func `An engine that does not exist is refused by name`() {
        #expect { try Viv.parseAsRoot(["boot", "--kernel", "k", "--engine", "kvm"]) } throws: {
            Viv.message(for: $0).contains("no engine 'kvm'")
        }
    }

    @Test func `The version is that of viv`() {
        #expect(Viv.configuration.version == "viv 0.1.0")
    }
}

@Suite struct ExitStatusTests {
    @Test func `Each end of a machine has its own status`() {
        let ends: [MachineOutcome] = [.powerOff, .reset, .tripleFault, .quit]
        let statuses = ends.map { ExitStatus.status(of: $0, plain: false) }
        #expect(statuses == [0, 4, 6, 8])
        // None is odd, as those of isa-debug-exit are.
        #expect(statuses.allSatisfy { $0.isMultiple(of: 2) })
    }

    @Test func `An exit value is doubled and made odd, unless it is a command's status`() {
        #expect(ExitStatus.status(of: .exit(value: 0), plain: false) == 1)
        #expect(ExitStatus.status(of: .exit(value: 16), plain: false) == 33)
        #expect(ExitStatus.status(of: .exit(value: 200), plain: false) == 145)
        #expect(ExitStatus.status(of: .exit(value: 200), plain: true) == 200)
        #expect(ExitStatus.status(of: .powerOff, plain: true) == 0)
    }

    @Test func `A failure is one line, whatever a file is called`() {
        #expect(CommandFailure("a\nb: no such file").description == "a b: no such file")
    }
}

@Suite struct EscapeFilterTests {
    private func filter(_ pieces: [UInt8]...) -> ([UInt8], Bool) {
        var filter = EscapeFilter()
        var bytes: [UInt8] = []
        for piece in pieces {
            let (more, quits) = filter.filter(piece)
            bytes += more
            if quits { return (bytes, true) }
        }
        return (bytes, false)
    }

    @Test func `What is typed goes to the guest, control characters too`() {
        #expect(filter([0x03, 0x1B, 0x5B, 0x41, 0x04, 0x1C]) == ([0x03, 0x1B, 0x5B, 0x41, 0x04, 0x1C], false))
    }

    @Test func `Ctrl-] ends the machine, and what follows is dropped`() {
        #expect(filter([0x61, 0x1D, 0x62]) == ([0x61], true))
    }

    @Test func `Ctrl-A x ends the machine, also when the keys come apart`() {
        #expect(filter([0x01, 0x78]) == ([], true))
        #expect(filter([0x61, 0x01], [0x78]) == ([0x61], true))
    }

    @Test func `Ctrl-A a is one Ctrl-A, and another key goes along with it`() {
        #expect(filter([0x01, 0x61, 0x78]) == ([0x01, 0x78], false))
        #expect(filter([0x01], [0x62]) == ([0x01, 0x62], false))
        #expect(filter([0x01, 0x01, 0x78]) == ([0x01, 0x78], false))
    }
}
