import Boot
import Engine
import Glibc
import GuestMemory
import MachineState
import Synchronization
import Testing
import X86

@testable import VirtualMachine

/// A machine on a thread of its own, and what came of it.
private final class RunningMachine: @unchecked Sendable {
    // SAFETY: `machine` is used by the thread alone once it runs, and `outcome` is read after `wait` saw `isOver`.
    let machine: VirtualMachine
    private var outcome: MachineOutcome?
    private let signal = WakeSignal()

    init(_ machine: VirtualMachine) throws {
        self.machine = machine
        try HostThread.start { [self] in
            outcome = try? self.machine.run()
            signal.notify()
        }
    }

    func wait() -> MachineOutcome? {
        signal.wait()
        return outcome
    }
}

@Suite struct SavedMachineTests {
    private let folder: String
    private let control = MachineControl()

    init() throws {
        var template = Array("/tmp/viv-machine.XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private var path: String { folder + "/machine.state" }

    private func remove() {
        unlink(path)
        rmdir(folder)
    }

    /// A multiboot kernel with `code` at 0x10_0020, in 32-bit protected mode.
    private func kernel(_ code: [UInt8]) -> HostFile {
        var bytes: [UInt8] = []
        func word(_ value: UInt32) {
            for index in 0..<4 as Range<UInt32> { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
        }
        word(0x1BAD_B002)
        word(1 << 16)
        word(0 &- 0x1BAD_B002 &- 1 << 16)
        for value in [0x10_0000, 0x10_0000, 0, 0, 0x10_0020] as [UInt32] { word(value) }
        return HostFile(name: "kernel", bytes: bytes + code + [UInt8](repeating: 0xF4, count: 8192))
    }

    /// Adds 3 to EBX a hundred million times, and ends with 0 if that gives 300,000,000.
    private static let counting: [UInt8] =
        [0x31, 0xDB, 0xB9, 0x00, 0xE1, 0xF5, 0x05]  // xor ebx, ebx; mov ecx, 100_000_000
        + [0x83, 0xC3, 0x03, 0x49, 0x75, 0xFA]  // add ebx, 3; dec ecx; jnz
        + [0x81, 0xFB, 0x00, 0xA3, 0xE1, 0x11]  // cmp ebx, 300_000_000
        + [0x0F, 0x95, 0xC0, 0xBA, 0xF4, 0x00, 0x00, 0x00, 0xEE, 0xF4]  // setne al; mov edx, 0xF4; out dx, al; hlt

    /// Reads the PM timer's port for ever.
    private static let polling: [UInt8] = [0xBA, 0x08, 0x06, 0x00, 0x00, 0xED, 0xEB, 0xFD]

    private func configuration(
        _ code: [UInt8] = counting,
        _ engine: EngineKind = .interpret,
        cpus: Int = 1
    )
        -> MachineConfiguration
    {
        MachineConfiguration(
            boot: .kernel(kernel(code), initrd: nil, commandLine: ""),
            memoryByteCount: 4 << 20,
            processorCount: cpus,
            model: .vivariumV3,
            serial: .disconnected,
            restartsOnReset: false,
            engine: engine
        )
    }

    private func machine(_ shape: MachineConfiguration, saved: SavedMachine? = nil) throws -> VirtualMachine {
        try VirtualMachine(shape, serial: try SerialBackend(.disconnected), control: control, saved: saved)
    }

    /// Saves a machine that polls, and ends it.
    private func saveSample(cpus: Int = 1) throws {
        let running = try RunningMachine(try machine(configuration(Self.polling, cpus: cpus)))
        guard case .saved(path, let byteCount, .running) = control.perform(.save(path: path)) else {
            Issue.record("it was not saved")
            return
        }
        #expect(byteCount > 1000)
        _ = control.perform(.quit)
        #expect(running.wait() == .quit)
    }

    @Test func `A computation that is saved and loaded again and again comes to its end`() throws {
        defer { remove() }
        var control = control
        var running = try RunningMachine(try machine(configuration()))
        for engine in [.translate, .interpret, .translate, .interpret] as [EngineKind] {
            usleep(20_000)
            // It may have been quicker than that.
            guard case .saved = control.perform(.save(path: path)) else { break }
            _ = control.perform(.quit)
            guard running.wait() == .quit else { return }
            var shape = configuration([], engine)
            shape.boot = .saved(firmwareByteCount: 0)
            control = MachineControl()
            running = try RunningMachine(
                try VirtualMachine(
                    shape,
                    serial: try SerialBackend(.disconnected),
                    control: control,
                    saved: try SavedMachine(path: path)
                )
            )
        }
        #expect(running.wait() == .exit(value: 0))
    }

    @Test func `Time stands still while the machine is paused`() throws {
        defer { remove() }
        let running = try RunningMachine(try machine(configuration(Self.polling)))
        guard case .done(.paused) = control.perform(.pause) else {
            Issue.record("it was not paused")
            return
        }
        let before = running.machine.machine.shape.nanoseconds
        usleep(30_000)
        #expect(running.machine.machine.shape.nanoseconds == before)
        #expect(running.machine.machine.time.clock.nanoseconds == before)
        guard case .done(.running) = control.perform(.resume) else {
            Issue.record("it did not go on")
            return
        }
        _ = control.perform(.quit)
        #expect(running.wait() == .quit)
        guard case .refused = control.perform(.status) else {
            Issue.record("a machine that ended answered")
            return
        }
    }

    @Test func `A machine that ends while it is paused ends`() throws {
        defer { remove() }
        let running = try RunningMachine(try machine(configuration(Self.polling)))
        _ = control.perform(.pause)
        _ = control.perform(.reset)
        #expect(running.wait() == .reset)
    }

    @Test func `A state fits only a machine that is made alike`() throws {
        defer { remove() }
        try saveSample()
        func refusal(_ change: (inout MachineConfiguration) -> Void) throws -> String {
            var shape = configuration([])
            change(&shape)
            let saved = try SavedMachine(path: path)
            let error = #expect(throws: MachineError.self) { try machine(shape, saved: saved) }
            return error.map { "\($0)" } ?? ""
        }
        #expect(try refusal { $0.processorCount = 2 }.contains("'number of processors' was 1"))
        #expect(try refusal { $0.memoryByteCount = 8 << 20 }.contains("'memory in bytes' was 4194304"))
        #expect(try refusal { $0.model = .level2 }.contains("'CPU model'"))
        #expect(try refusal { $0.clock = .instructions }.contains("'clock'"))
        #expect(try refusal { $0.hasVirtioConsole = true }.contains("virtio-console"))
    }

    @Test func `A machine whose processor cannot be saved says so`() throws {
        defer { remove() }
        let shape = configuration([])
        let factory = ScriptedProcessors([[VMExit](repeating: .interrupted, count: 1 << 20)])
        let machine = try VirtualMachine(
            shape,
            serial: try SerialBackend(.disconnected),
            control: control,
            factory: factory
        )
        let running = try RunningMachine(machine)
        guard case .refused(let reason) = control.perform(.save(path: path)) else {
            Issue.record("it was saved")
            return
        }
        #expect(reason == "\(path): section 'cpu 0': a part of this kind cannot be saved")
        _ = control.perform(.quit)
        #expect(running.wait() == .quit)
    }

    @Test func `Every section that is cut or damaged is refused with file and section`() throws {
        defer { remove() }
        try saveSample(cpus: 2)
        let whole = try HostFile.read(path).bytes
        // Where each section starts and ends.
        var places: [(name: String, range: Range<Int>)] = []
        var offset = 12
        while offset + 16 <= whole.count {
            let nameByteCount = Int(whole[offset + 4]) | Int(whole[offset + 5]) << 8
            let length = (0..<8).reduce(0) { $0 | Int(whole[offset + 8 + $1]) << (8 * $1) }
            let name = String(decoding: whole[(offset + 16)..<(offset + 16 + nameByteCount)], as: UTF8.self)
            let end = offset + 16 + nameByteCount + length + 4
            places.append((name, offset..<end))
            offset = end
        }
        #expect(places.first?.name == "machine" && places.last?.name == "end")
        #expect(Set(places.map(\.name)).isSuperset(of: ["memory 0", "pit", "apic 1", "cpu 0", "cpu 1", "ioapic"]))
        func load(_ bytes: [UInt8]) throws -> String {
            let file = try #require(fopen(path, "w"))
            fwrite(bytes, 1, bytes.count, file)
            fclose(file)
            let error = #expect(throws: MachineError.self) {
                let saved = try SavedMachine(path: path)
                _ = try machine(configuration([], cpus: 2), saved: saved)
            }
            return error.map { "\($0)" } ?? ""
        }
        for (name, range) in places {
            let cut = try load(Array(whole[..<(range.upperBound - 3)]))
            #expect(cut == "\(path): the file ends inside of section '\(name)'")
            var damaged = whole
            damaged[range.upperBound - 5] ^= 0x10
            let flipped = try load(damaged)
            #expect(flipped.hasPrefix("\(path): section '\(name)': its checksum is"), "\(name): \(flipped)")
            guard name != "end" else { continue }
            let missing = try load(Array(whole[..<range.lowerBound]) + Array(whole[range.upperBound...]))
            #expect(missing.hasPrefix("\(path): section"), "\(name): \(missing)")
        }
    }

    @Test func `Damaged contents under right checksums trap nothing, whatever runs then`() throws {
        defer { remove() }
        try saveSample(cpus: 2)
        let reader = try StateReader(path: path)
        var sections: [StateSection] = []
        while let section = try reader.next() { sections.append(section) }
        var random: UInt64 = 77
        func next(_ limit: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % limit
        }
        var acceptedCount = 0
        for _ in 0..<150 {
            let writer = try StateWriter(path: path)
            let target = next(sections.count)
            for (index, section) in sections.enumerated() {
                var section = section
                if index == target, !section.contents.isEmpty {
                    for _ in 0...next(4) {
                        section.contents[next(min(section.contents.count, 2000))] = UInt8(truncatingIfNeeded: next(256))
                    }
                }
                try writer.append(section)
            }
            try writer.finish()
            let control = MachineControl()
            guard let saved = try? SavedMachine(path: path), saved.shape.memoryByteCount == 4 << 20,
                let machine = try? VirtualMachine(
                    configuration([], cpus: 2),
                    serial: try SerialBackend(.disconnected),
                    control: control,
                    saved: saved
                )
            else { continue }
            acceptedCount += 1
            let running = try RunningMachine(machine)
            usleep(3000)
            _ = control.perform(.quit)
            _ = running.wait()
        }
        #expect(acceptedCount > 20)
    }
}

@Suite struct ControlLineTests {
    @Test func `Requests are words, and a file is the rest of the line`() {
        #expect(ControlRequest(line: "pause") == .pause)
        #expect(ControlRequest(line: " save  a file ") == .save(path: "a file "))
        #expect(ControlRequest(line: "power-button") == .powerButton)
        #expect(ControlRequest(line: "pause now") == nil)
        #expect(ControlRequest(line: "") == nil)
    }

    @Test func `Answers are one line of JSON`() {
        #expect(ControlAnswer.done(.paused).json == #"{"ok":true,"state":"paused"}"#)
        #expect(
            ControlAnswer.saved(path: "a\"\n", byteCount: 5, .running).json
                == #"{"ok":true,"state":"running","file":"a\"\n","bytes":5}"#
        )
        #expect(ControlAnswer.refused("no\u{1}").json == #"{"ok":false,"error":"no\u0001"}"#)
    }

    @Test func `Several clients ask a machine through its socket`() throws {
        let path = "/tmp/viv-control-\(getpid()).sock"
        let control = MachineControl()
        control.close()
        let server = try ControlServer(path: path, control: control)
        defer { server.close() }
        var status = stat()
        stat(path, &status)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(try ControlClient.send("status", to: path) == #"{"ok":false,"error":"the machine has ended"}"#)
        #expect(try ControlClient.send("help", to: path).hasPrefix(#"{"ok":true,"commands":{"status":"#))
        #expect(try ControlClient.send("dance", to: path).contains("there is no command 'dance'"))
        // A second machine does not take the first one's socket.
        #expect(throws: MachineError.self) { try ControlServer(path: path, control: control) }
    }
}
