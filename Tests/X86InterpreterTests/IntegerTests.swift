import Engine
import GuestMemory
import Testing
import X86
import X86Decoder

@testable import X86Interpreter

/// A core over 1 MiB of RAM without paging, in 64-bit mode at CPL 3, that is given one instruction at a time.
private struct IntegerBench {
    let memory: GuestMemory
    let cpu: Interpreter
    var core: Core { cpu.core }
    var state: CPUState { cpu.core.state }

    static let address: UInt64 = 0x1000

    init() throws {
        memory = try GuestMemory(byteCount: 1 << 20)
        cpu = try Interpreter(
            memory: memory,
            controller: SilentController(),
            clock: StoppedClock(),
            model: CPUModel(
                name: "",
                summary: "",
                vendor: "",
                brand: "",
                signature: 0,
                features: CPUFeatureSet(CPUFeature.allCases)
            ),
            codeCache: try InterpreterCodeCache(memory: memory),
            identifier: 0,
            cpuCount: 1
        )
        enter(.long64)
    }

    /// Flat segments without limits that matter, in `mode`.
    func enter(_ mode: ExecutionMode) {
        state.cr0 = CR0.protectionEnable | CR0.extensionType
        let attributes: UInt16 = mode == .protected16 ? 0xF3 : 0x40F3
        for register in [SegmentRegister.es, .ss, .ds, .fs, .gs] {
            state[register] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: attributes, selector: 0x2B)
        }
        state[.cs] = Segment(base: 0, limit: 0xFFFF_FFFF, attributes: 0xFB, selector: 0x23)
        for index in 0..<6 { state[field: 0xC0 + index * 8] = 0 }
        state.mode = mode
        state.cpl = 3
        state.rflags = 2
        core.selectTLB()
        core.flushTLB()
    }

    /// Executes `bytes`, again while a repeated instruction asks for it.
    ///
    /// - Returns: the fault, if there was one.
    func run(_ bytes: [UInt8], size: CodeSize = .bits64) -> Fault? {
        var instruction = DecodedInstruction()
        let padded = bytes + [UInt8](repeating: 0x90, count: 15)
        let status = padded.withUnsafeBufferPointer { buffer in
            InstructionDecoder.decode(buffer.baseAddress.unsafelyUnwrapped, count: 15, size: size, into: &instruction)
        }
        guard status == .complete, Int(instruction.length) == bytes.count else { return .invalidOpcode }
        state[field: Layout.instructionRIP] = Self.address
        return withUnsafeMutablePointer(to: &instruction) { pointer in
            do throws(Fault) {
                repeat {
                    state[field: Layout.blockEnd] = 1
                    state.rip = Self.address + UInt64(bytes.count)
                    try core.executeInteger(pointer)
                } while state.rip == Self.address
                return nil
            } catch {
                return error
            }
        }
    }

    func byte(_ address: UInt64) throws -> UInt8 { try memory.load(UInt8.self, at: GuestAddress(address)) }
}

struct IntegerTests {
    @Test
    func `Results and flags are those recorded on a Skylake CPU`() throws {
        let bench = try IntegerBench()
        var differences: [String] = []
        var count = 0
        for row in integerSkylakeRows.split(separator: "\n") {
            let fields = row.split(separator: " ")
            guard fields.count == 11 else {
                differences.append("malformed row: \(row)")
                continue
            }
            let digits = Array(fields[0])
            let bytes = stride(from: 0, to: digits.count, by: 2).map {
                UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0
            }
            let values = fields.dropFirst().map { UInt64($0, radix: 16) ?? 0 }
            for number in 0..<4 { bench.state[number] = values[number] }
            bench.state.rflags = values[4]
            let fault = bench.run(bytes)
            let result = (0..<4).map { bench.state[$0] } + [bench.state.rflags & RFlags.arithmetic]
            if fault != nil || result != Array(values[5...]) {
                differences.append("\(row): \(result.map { String($0, radix: 16) }) \(String(describing: fault))")
            }
            count += 1
        }
        #expect(count > 200)
        #expect(differences.isEmpty, "\(differences.prefix(10))")
    }

    @Test(arguments: [
        (bytes: [0xF7, 0xF1] as [UInt8], rax: 0 as UInt64, rdx: 5 as UInt64, rcx: 5 as UInt64),
        (bytes: [0xF7, 0xF1], rax: 1, rdx: 0, rcx: 0),
        (bytes: [0x48, 0xF7, 0xF9], rax: 1 << 63, rdx: .max, rcx: .max),
        (bytes: [0xF6, 0xF9], rax: 0x80, rdx: 0, rcx: 1),
    ])
    func `A quotient that does not fit is a divide error`(bytes: [UInt8], rax: UInt64, rdx: UInt64, rcx: UInt64) throws
    {
        let bench = try IntegerBench()
        bench.state.rax = rax
        bench.state.rdx = rdx
        bench.state.rcx = rcx
        #expect(bench.run(bytes) == .divideError)
        #expect(bench.state.rax == rax)
        #expect(bench.state.rdx == rdx)
    }

    /// INC of rCX at every width, and the largest signed value.
    static let increments: [(bytes: [UInt8], largest: UInt64)] = [
        ([0xFE, 0xC1], 0x7F), ([0x66, 0xFF, 0xC1], 0x7FFF), ([0xFF, 0xC1], 0x7FFF_FFFF),
        ([0x48, 0xFF, 0xC1], .max >> 1),
    ]

    @Test(arguments: increments)
    func `INC of the largest signed value overflows, and DEC back does too`(bytes: [UInt8], largest: UInt64) throws {
        let bench = try IntegerBench()
        bench.state.rcx = largest
        #expect(bench.run(bytes) == nil)
        #expect(bench.state.rcx == largest + 1)
        #expect(bench.state.overflowFlag)
        #expect(bench.run(bytes.dropLast() + [0xC9]) == nil)
        #expect(bench.state.rcx == largest)
        #expect(bench.state.overflowFlag)
        #expect(bench.run(bytes.dropLast() + [0xC9]) == nil)
        #expect(!bench.state.overflowFlag)
    }

    @Test
    func `Signed 128-bit division truncates towards zero`() throws {
        let bench = try IntegerBench()
        // -(2^64 + 1) / 3
        bench.state.rdx = .max - 1
        bench.state.rax = .max
        bench.state.rcx = 3
        #expect(bench.run([0x48, 0xF7, 0xF9]) == nil)
        #expect(bench.state.rax == 0 &- 0x5555_5555_5555_5555)
        #expect(bench.state.rdx == 0 &- 2)
    }

    @Test
    func `An overlapping REP MOVSB copies forward byte by byte`() throws {
        let bench = try IntegerBench()
        let bytes: [UInt8] = [1, 2, 3]
        try bench.memory.copyIn(bytes, at: GuestAddress(0x8000))
        bench.state.rsi = 0x8000
        bench.state.rdi = 0x8003
        bench.state.rcx = 5000
        #expect(bench.run([0xF3, 0xA4]) == nil)
        #expect(bench.state.rcx == 0)
        #expect(bench.state.rsi == 0x8000 + 5000)
        #expect(bench.state.rdi == 0x8003 + 5000)
        for offset in stride(from: 0 as UInt64, to: 5003, by: 97) {
            #expect(try bench.byte(0x8000 + offset) == bytes[Int(offset % 3)])
        }
        #expect(try bench.byte(0x8003 + 5000) == 0)
    }

    @Test
    func `A backward REP STOSD fills across pages`() throws {
        let bench = try IntegerBench()
        bench.state.rflags = RFlags.df
        bench.state.rax = 0x0403_0201
        bench.state.rdi = 0x9010
        bench.state.rcx = 8
        #expect(bench.run([0xF3, 0xAB]) == nil)
        #expect(bench.state.rdi == 0x9010 - 32)
        #expect(try bench.byte(0x9013) == 4)
        #expect(try bench.byte(0x9010 - 28) == 1)
        #expect(try bench.byte(0x9010 - 29) == 0)
    }

    @Test
    func `REPNE SCASB stops behind the byte it looks for`() throws {
        let bench = try IntegerBench()
        try bench.memory.copyIn([0x7F], at: GuestAddress(0xA000 + 6000))
        bench.state.rax = 0x7F
        bench.state.rdi = 0xA000
        bench.state.rcx = .max
        #expect(bench.run([0xF2, 0xAE]) == nil)
        #expect(bench.state.rdi == 0xA000 + 6001)
        #expect(bench.state.rcx == UInt64.max - 6001)
        #expect(bench.state.zeroFlag)
    }

    @Test
    func `BTS with a register index reaches memory before its operand`() throws {
        let bench = try IntegerBench()
        bench.state.rdi = 0x8000
        bench.state.rax = UInt64(bitPattern: -9)
        #expect(bench.run([0x48, 0x0F, 0xAB, 0x07]) == nil)
        #expect(try bench.byte(0x7FFE) == 0x80)
        #expect(!bench.state.carryFlag)
    }

    @Test
    func `ENTER with three levels copies the frame pointers and LEAVE undoes it`() throws {
        let bench = try IntegerBench()
        try bench.memory.store(0x1111 as UInt64, at: GuestAddress(0x8FF8))
        try bench.memory.store(0x2222 as UInt64, at: GuestAddress(0x8FF0))
        bench.state.rsp = 0x7000
        bench.state.rbp = 0x9000
        #expect(bench.run([0xC8, 0x20, 0x00, 0x03]) == nil)
        #expect(bench.state.rbp == 0x6FF8)
        #expect(bench.state.rsp == 0x6FF8 - 24 - 32)
        #expect(try bench.memory.load(UInt64.self, at: GuestAddress(0x6FF8)) == 0x9000)
        #expect(try bench.memory.load(UInt64.self, at: GuestAddress(0x6FF0)) == 0x1111)
        #expect(try bench.memory.load(UInt64.self, at: GuestAddress(0x6FE8)) == 0x2222)
        #expect(try bench.memory.load(UInt64.self, at: GuestAddress(0x6FE0)) == 0x6FF8)
        #expect(bench.run([0xC9]) == nil)
        #expect(bench.state.rsp == 0x7000)
        #expect(bench.state.rbp == 0x9000)
    }

    @Test
    func `CMPXCHG16B off its alignment is a protection fault`() throws {
        let bench = try IntegerBench()
        bench.state.rdi = 0x8008
        #expect(bench.run([0x48, 0x0F, 0xC7, 0x0F]) == .generalProtection())
    }

    @Test
    func `BOUND outside the bounds is a bound range fault`() throws {
        let bench = try IntegerBench()
        bench.enter(.protected32)
        try bench.memory.store(UInt32(bitPattern: -2), at: GuestAddress(0x8000))
        try bench.memory.store(7 as UInt32, at: GuestAddress(0x8004))
        bench.state.rdi = 0x8000
        bench.state.rax = 0xFFFF_FFFE
        #expect(bench.run([0x62, 0x07], size: .bits32) == nil)
        bench.state.rax = 8
        #expect(bench.run([0x62, 0x07], size: .bits32) == .exception(ExceptionVector.boundRange))
    }

    @Test(arguments: [
        // What a Skylake CPU in compatibility mode does: bytes, AX and flags before, AX and flags after.
        (
            bytes: [0x37] as [UInt8], ax: 0x000B as UInt64, flags: 0 as UInt64, wanted: 0x0101 as UInt64,
            after: 0x11 as UInt64
        ),
        (bytes: [0x3F], ax: 0x0203, flags: 0x10, wanted: 0x000D, after: 0x11),
        (bytes: [0x27], ax: 0x009A, flags: 0, wanted: 0x0000, after: 0x55),
        (bytes: [0x2F], ax: 0x0003, flags: 0x10, wanted: 0x00FD, after: 0x91),
        (bytes: [0xD4, 0x0A], ax: 0x0049, flags: 0x8D5, wanted: 0x0703, after: 0x04),
        (bytes: [0xD5, 0x0A], ax: 0x0F7F, flags: 0, wanted: 0x0015, after: 0x11),
        (bytes: [0xD6], ax: 0x1200, flags: 1, wanted: 0x12FF, after: 1),
    ])
    func `Decimal adjustments`(bytes: [UInt8], ax: UInt64, flags: UInt64, wanted: UInt64, after: UInt64) throws {
        let bench = try IntegerBench()
        bench.enter(.protected32)
        bench.state.rax = ax
        bench.state.rflags = flags
        #expect(bench.run(bytes, size: .bits32) == nil)
        #expect(bench.state.rax == wanted)
        #expect(bench.state.rflags & RFlags.arithmetic == after)
    }

    @Test
    func `POPF at CPL 3 changes neither IF nor IOPL`() throws {
        let bench = try IntegerBench()
        bench.state.rflags = RFlags.interruptEnable
        bench.state.rsp = 0x7000
        try bench.memory.store(RFlags.iopl | RFlags.nt | RFlags.ac | RFlags.cf, at: GuestAddress(0x7000))
        #expect(bench.run([0x9D]) == nil)
        #expect(bench.state.rflags == RFlags.interruptEnable | RFlags.nt | RFlags.ac | RFlags.cf | 2)
        #expect(bench.state.rsp == 0x7008)
    }
}
