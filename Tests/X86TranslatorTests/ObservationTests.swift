import Engine
import Glibc
import GuestMemory
import HostCode
import Synchronization
import Telemetry
import Testing
import X86

@testable import X86Translator

/// Keeps what it is told.
private final class KeptSamples: ProfileSink {
    private let samples = Mutex<[ProfileSample]>([])
    var rate: Int { 997 }
    func record(_ sample: ProfileSample) { samples.withLock { $0.append(sample) } }
    func noteLost(_ count: UInt64) {}
    var all: [ProfileSample] { samples.withLock { $0 } }
}

@Suite struct StatisticsTests {
    // mov ecx, 100000; loop: dec ecx; jnz loop; hlt
    private static let loop: [UInt8] = [0xB9, 0xA0, 0x86, 0x01, 0x00, 0xFF, 0xC9, 0x75, 0xFC, 0xF4]

    @Test func `Nearly all of a loop runs translated`() throws {
        let bench = try TranslatedBench(Self.loop, TranslatorObservation(isCounting: true))
        #expect(try bench.cpu.run() == .halted)
        #expect(bench.state.instructionCount == 200_002)
        let share = try #require(bench.cpu.translatedShare)
        #expect(share >= 999_900 && share < 1_000_000)
    }

    @Test func `An instruction without a translation counts as interpreted, by its name`() throws {
        // mov esi, 100; loop: cpuid; dec esi; jnz loop; hlt
        let code: [UInt8] = [0xBE, 0x64, 0, 0, 0, 0x0F, 0xA2, 0xFF, 0xCE, 0x75, 0xFA, 0xF4]
        let bench = try TranslatedBench(code, TranslatorObservation(isCounting: true))
        #expect(try bench.cpu.run() == .halted)
        let share = try #require(bench.cpu.translatedShare)
        // CPUID and HLT of 302 instructions.
        #expect(bench.state.instructionCount == 302)
        #expect(share == UInt64(201.0 / 302 * 1_000_000))
        #expect(bench.cpu.counters.first { $0.name == "interpreted: cpuid" }?.value == 100)
    }

    @Test func `Without counting there is neither a share nor a time`() throws {
        let bench = try TranslatedBench(Self.loop)
        #expect(try bench.cpu.run() == .halted)
        #expect(bench.cpu.translatedShare == nil)
        #expect(!bench.cpu.reports.contains { $0.part == "time" || $0.part == "share" })
    }

    @Test func `Names of counters are those that scripts look for`() throws {
        let bench = try TranslatedBench(Self.loop, TranslatorObservation(isCounting: true))
        #expect(try bench.cpu.run() == .halted)
        let names = Set(bench.cpu.counters.map(\.name))
        let wanted = [
            "instructions", "blocks translated", "guest bytes translated", "host bytes made", "tlb misses",
            "code cache resets of the translator", "pages of translated code changed", "blocks thrown away",
            "interpreted: device or fault", "time: translated code", "time: translating", "time: tlb misses",
            "time: interpreter", "time: devices", "guest instructions that ran translated",
        ]
        #expect(wanted.filter { !names.contains($0) } == [])
        #expect(bench.cpu.reports.map(\.part) == ["guest", "translation", "code", "fallbacks", "time", "share"])
    }

    @Test func `Time goes to what was entered last`() {
        let ledger = TimeLedger(isOn: true)
        ledger.enter(.translated)
        usleep(2000)
        ledger.enter(.idle)
        let spent = ledger.nanoseconds
        #expect(spent.first { $0.activity == .translated }.map { $0.value >= 1_500_000 } == true)
        #expect(spent.first { $0.activity == .misses }?.value == 0)
        #expect(TimeLedger(isOn: false).nanoseconds.isEmpty)
    }
}

@Suite struct SamplerTests {
    @Test func `Samples lie in the code that runs, and name the call that led there`() throws {
        let sink = KeptSamples()
        // start: mov ecx, 10000000; loop: call f; dec ecx; jnz loop; out 0x10, al; jmp start; f: mov edx, [0x2000]; ret
        let code: [UInt8] = [
            0xB9, 0x80, 0x96, 0x98, 0x00, 0xE8, 0x08, 0, 0, 0, 0xFF, 0xC9, 0x75, 0xF7, 0xE6, 0x10, 0xEB, 0xEE,
            0x8B, 0x14, 0x25, 0x00, 0x20, 0, 0, 0xC3,
        ]
        let bench = try TranslatedBench(code, TranslatorObservation(profile: sink))
        let start = TranslatedBench.code
        var turns = 0
        while !sink.all.contains(where: { $0.stack.count > 1 && $0.stack[0] >= start + 0x12 }), turns < 2000 {
            #expect(try bench.cpu.run() == .portWrite(port: 0x10, value: 0, width: .byte))
            turns += 1
        }
        let running = sink.all.filter { $0.activity == Activity.translated.name }
        #expect(!running.isEmpty)
        for sample in running { #expect(sample.stack[0] >= start && sample.stack[0] < start + UInt64(code.count)) }
        let called = try #require(running.first { $0.stack.count > 1 && $0.stack[0] >= start + 0x12 })
        #expect(called.stack[0] == start + 0x12 || called.stack[0] == start + 0x19)
        #expect(called.stack[1] == start + 5)
    }

    @Test func `A place in the code is that of the guest instruction, misses and jumps included`() throws {
        // mov eax, [rbx]; nop; jmp -5
        let bench = try TranslatedBench([0x8B, 0x03, 0x90, 0xEB, 0xFB], TranslatorObservation(profile: KeptSamples()))
        let store = bench.cpu.store
        let host = bench.memory.hostPointer(at: GuestAddress(TranslatedBench.code), byteCount: 4096)
        let page = try #require(host)
        let view = store.view(TranslatedBench.code, page, 1)
        var translator = BlockTranslator(bench.cpu.environment, store, rip: TranslatedBench.code, view: view)
        let record = store.blocks[translator.translate()]
        #expect(store.guestPlace(atCode: record.start)?.address == TranslatedBench.code)
        #expect(store.guestPlace(atCode: record.bodyEnd - 1)?.address == TranslatedBench.code + 3)
        // The last thing is the call for a miss of the load.
        #expect(store.guestPlace(atCode: record.end - 1)?.address == TranslatedBench.code)
        #expect(store.guestPlace(atCode: record.end)?.address == nil)
        #expect(store.guestPlace(atCode: 0)?.address == nil)
    }
}

@Suite struct PerfMapTests {
    private let path = "/tmp/viv-perf-map-test-\(getpid())"

    private func contents() -> String {
        guard let file = fopen(path, "r") else { return "" }
        defer { fclose(file) }
        var text = ""
        while let line = readLine(from: file) { text += line }
        return text
    }

    private func readLine(from file: UnsafeMutablePointer<FILE>) -> String? {
        var bytes = [CChar](repeating: 0, count: 4096)
        guard fgets(&bytes, 4096, file) != nil else { return nil }
        return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test func `Each block is named after its guest address, where its code lies`() throws {
        defer { unlink(path) }
        let observation = TranslatorObservation(perfMapPath: path)
        let bench = try TranslatedBench([0x90, 0xF4], observation)
        #expect(try bench.cpu.run() == .halted)
        observation.perfMap?.flush()
        let store = bench.cpu.store
        let block = store.blocks[1]
        let start = UInt(bitPattern: store.code.executableBase) + UInt(block.start)
        let line = "\(String(start, radix: 16)) \(String(block.end - block.start, radix: 16)) guest kernel 0x10000\n"
        #expect(contents().contains(line))
        #expect(contents().contains(" viv: enter\n"))
    }

    @Test func `A link in its place is not followed`() throws {
        defer { unlink(path) }
        #expect(symlink("/tmp/viv-perf-map-target-\(getpid())", path) == 0)
        #expect(!TranslatorObservation(perfMapPath: path).hasPerfMap)
        #expect(access("/tmp/viv-perf-map-target-\(getpid())", F_OK) != 0)
    }
}

@Suite struct TranslationListingTests {
    @Test func `A block is listed instruction by instruction, up to the end of its code`() throws {
        // mov rax, [rdi + 8]; add rax, 1; ret
        let code: [UInt8] = [0x48, 0x8B, 0x47, 0x08, 0x48, 0x83, 0xC0, 0x01, 0xC3, 0x90]
        let listing = try TranslationListing(code, at: 0xFFFF_FFFF_8100_0000, model: .vivariumV3)
        #expect(listing.parts.map(\.guest) == [0..<4, 4..<8, 8..<9])
        #expect(listing.guestBytes == Array(code.prefix(9)))
        // ADD is the host's own.
        #expect(Array(listing.hostBytes[listing.parts[1].host]) == [0x48, 0x83, 0xC0, 0x01])
        #expect(listing.parts[2].host.upperBound == listing.exits.lowerBound)
        #expect(listing.exits.upperBound == listing.hostBytes.count)
        #expect(listing.sharedCode.map(\.name).contains("read miss"))
    }

    @Test func `Code that ends without a branch is listed to its last instruction`() throws {
        let listing = try TranslationListing([0x90, 0x48, 0x01], at: 0x1FFE, model: .vivariumV3)
        #expect(listing.parts.first?.guest == 0..<1)
        #expect(listing.parts.allSatisfy { $0.guest.upperBound <= 2 })
        #expect(try TranslationListing([], at: 0, model: .vivariumV3).parts.isEmpty)
    }
}
