import Boot
import Engine
import Glibc
import GuestMemory
import Testing
import X86

@testable import VirtualMachine

@Suite struct PCMachineTests {
    /// A multiboot kernel of four bytes at 1 MiB, with addresses in its header (Multiboot 0.6.96 §3.1.3).
    private var kernel: HostFile {
        var bytes: [UInt8] = []
        func word(_ value: UInt32) {
            for index in 0..<4 as Range<UInt32> { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
        }
        let flags: UInt32 = 1 << 16
        word(0x1BAD_B002)
        word(flags)
        word(0 &- 0x1BAD_B002 &- flags)
        for value in [0x10_0000, 0x10_0000, 0, 0, 0x10_0020] as [UInt32] { word(value) }
        word(0xF4F4_F4F4)
        bytes += [UInt8](repeating: 0, count: 8192)
        return HostFile(name: "kernel", bytes: bytes)
    }

    private func machine(
        _ scripts: [[VMExit]],
        cpus: Int = 1,
        restarts: Bool = true,
        memory: Int = 64 << 20
    ) throws -> (VirtualMachine, ScriptedProcessors) {
        let configuration = MachineConfiguration(
            boot: .kernel(kernel, initrd: nil, commandLine: ""),
            memoryByteCount: memory,
            processorCount: cpus,
            model: .vivariumV3,
            serial: .disconnected,
            restartsOnReset: restarts
        )
        let factory = ScriptedProcessors(scripts)
        let machine = try VirtualMachine(
            configuration,
            serial: try SerialBackend(.disconnected),
            control: MachineControl(),
            factory: factory
        )
        return (machine, factory)
    }

    private func write(_ port: UInt16, _ value: UInt64, _ width: AccessWidth = .byte) -> VMExit {
        .portWrite(port: port, value: value, width: width)
    }

    @Test func `isa-debug-exit ends the machine with its value`() throws {
        #expect(try machine([[write(0xF4, 0x21)]]).0.run() == .exit(value: 0x21))
    }

    @Test func `The sleep control of ACPI powers off`() throws {
        // SLP_TYP 5, SLP_EN.
        #expect(try machine([[write(0x604, 5 << 10 | 1 << 13, .word)]]).0.run() == .powerOff)
    }

    @Test(arguments: [[(0xCF9, 6)], [(0x92, 1)], [(0x64, 0xFE)]] as [[(UInt16, UInt64)]])
    func `Each way to reset ends a machine that is not to start again`(writes: [(UInt16, UInt64)]) throws {
        let script = writes.map { write($0.0, $0.1) }
        #expect(try machine([script], restarts: false).0.run() == .reset)
    }

    @Test func `After a reset, and after a triple fault, the machine starts anew`() throws {
        let (machine, factory) = try machine([[write(0xCF9, 6)], [.shutdown], [write(0xF4, 1)]])
        #expect(try machine.run() == .exit(value: 1))
        #expect(factory.made.count == 3)
        // Each power cycle has memory of its own, with the kernel in it.
        let memories = factory.made.map(\.setup.memory)
        #expect(memories[0] !== memories[2])
        #expect(try memories[2].load(UInt32.self, at: GuestAddress(0x10_0020)) == 0xF4F4_F4F4)
    }

    @Test func `The first processor starts in the kernel and each has its number`() throws {
        let (_, factory) = try machine([], cpus: 3)
        #expect(factory.made.map(\.setup.index) == [0, 1, 2])
        let state = factory.made[0].cpu.state
        #expect(state.rip == 0x10_0020)
        #expect(state.mode == .protected32)
        #expect(state.rax == 0x2BAD_B002)
    }

    @Test func `The guest finds the ACPI tables of its machine`() throws {
        let (_, factory) = try machine([], cpus: 2)
        let memory = factory.made[0].setup.memory
        let signature = try memory.copyOut(at: GuestAddress(MemoryMap.rsdpAddress), byteCount: 8)
        #expect(String(decoding: signature, as: UTF8.self) == "RSD PTR ")
    }

    @Test func `PCI answers through its ports with the host bridge`() throws {
        let (machine, factory) = try machine([
            [write(0xCF8, 0x8000_0000, .dword), .portRead(port: 0xCFC, width: .dword), write(0xF4, 0)]
        ])
        _ = try machine.run()
        #expect(factory.made[0].cpu.answers == [0x29C0_8086])
    }

    @Test func `PCI answers through its memory window with the entropy device in slot 1`() throws {
        let (machine, factory) = try machine([
            [.memoryRead(GuestAddress(0xB000_8000), width: .dword), write(0xF4, 0)]
        ])
        _ = try machine.run()
        #expect(factory.made[0].cpu.answers == [0x1044_1AF4])
    }

    @Test func `A processor reads its own local APIC at the page that all share`() throws {
        let read = VMExit.memoryRead(GuestAddress(0xFEE0_0020), width: .dword)
        let (machine, factory) = try machine([[read, .interrupted], [read, .shutdown]], cpus: 2, restarts: false)
        _ = try machine.run()
        #expect(factory.made.map(\.cpu.answers) == [[0], [0x0100_0000]])
    }

    @Test(arguments: [0, 65])
    func `A machine without processors, or with too many, is refused`(count: Int) {
        #expect(throws: MachineError.self) { try machine([], cpus: count) }
    }

    @Test func `A disk that does not exist is named`() throws {
        let configuration = MachineConfiguration(
            boot: .kernel(kernel, initrd: nil, commandLine: ""),
            memoryByteCount: 64 << 20,
            model: .vivariumV3,
            disks: [DiskConfiguration(path: "/nowhere/disk.img")]
        )
        #expect {
            try VirtualMachine(
                configuration,
                serial: try SerialBackend(.disconnected),
                control: MachineControl(),
                factory: ScriptedProcessors([])
            )
        } throws: { "\($0)".contains("/nowhere/disk.img") }
    }
}

@Suite struct SerialBackendTests {
    private func temporaryPath() -> String { "/tmp/viv-test-\(getpid())-\(UInt64.random(in: 0...UInt64.max))" }

    @Test func `Bytes for a file are there after draining`() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let backend = try SerialBackend(.file(path: path))
        for index in 0..<1000 { backend.write(Array("line \(index)\n".utf8)) }
        backend.drain()
        let text = String(decoding: try HostFile.read(path).bytes, as: UTF8.self)
        #expect(text == (0..<1000).map { "line \($0)\n" }.joined())
    }

    @Test func `A file that cannot be made is named`() {
        #expect { try SerialBackend(.file(path: "/nowhere/log")) } throws: { "\($0)".contains("/nowhere/log") }
    }

    @Test func `Output to nobody is lost without waiting`() throws {
        let backend = try SerialBackend(.disconnected)
        for _ in 0..<100 { backend.write([UInt8](repeating: 0, count: 1 << 16)) }
        backend.drain()
    }

    @Test func `A trace is written to its file, a line an event, with guest addresses`() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let trace = try MachineTrace(TraceConfiguration(events: [.io, .exceptions], path: path))
        trace.record(.exception(vector: 14, errorCode: 2, rip: 0x1000, address: 0xABC), processor: 1)
        trace.record(.portRead(port: 0x3F8, width: .byte), value: 0x60, rip: 0x2000, processor: 0)
        trace.record(.halted, rip: 0x3000, processor: 0)
        trace.flush()
        #expect(
            String(decoding: try HostFile.read(path).bytes, as: UTF8.self) == """
                cpu1 exception 14 code 0x2 at 0x1000 address 0xabc
                cpu0 io in port 0x3f8 width 1 value 0x60 at 0x2000

                """
        )
    }
}
