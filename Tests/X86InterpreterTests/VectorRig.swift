import Engine
import GuestMemory
import HostCode
import TestSupport
import X86
import X86Decoder

@testable import X86Interpreter

final class SilentController: InterruptController, @unchecked Sendable {
    var hasDeliverableInterrupt: Bool { false }
    func acknowledge() -> UInt8? { nil }
    var taskPriority: UInt8 = 0
    func readRegister(_ msr: UInt32) -> UInt64? { nil }
    func writeRegister(_ msr: UInt32, _ value: UInt64) -> Bool { false }
}

final class StoppedClock: MachineClock {
    var nanoseconds: UInt64 { 0 }
    var timestamp: UInt64 { 0 }
    var timestampFrequency: UInt64 { 1_000_000_000 }
}

/// Runs single instructions in the interpreter's vector engine and on the host, on the same state and memory addresses.
final class VectorRig {
    let native: NativeExecutor
    let memory: GuestMemory
    let interpreter: Interpreter
    var random: UInt64
    var core: Core { interpreter.core }
    var state: CPUState { interpreter.core.state }

    static let rip: UInt64 = 0x40_0000
    static let memoryByteCount = 64 << 10

    init(seed: UInt64 = 1) throws {
        native = try NativeExecutor()
        memory = try GuestMemory(layout: [(GuestAddress(native.memoryAddress), Self.memoryByteCount, false)])
        interpreter = try Interpreter(
            memory: memory,
            controller: SilentController(),
            clock: StoppedClock(),
            model: .vivariumV3,
            codeCache: InterpreterCodeCache(memory: memory),
            identifier: 0,
            cpuCount: 1
        )
        random = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        enterLongMode()
    }

    /// 64-bit user mode with everything enabled, and no paging.
    func enterLongMode() {
        let s = state
        s.cr0 = CR0.protectionEnable | CR0.numericError | CR0.extensionType
        s.cr4 = CR4.osfxsr | CR4.osxmmexcpt | CR4.osxsave
        s.xcr0 = 7
        s.mode = .long64
        s.cpl = 3
        for index in 0..<6 { s[field: 0xC0 + index * 8] = 0 }
        core.selectTLB()
    }

    func next() -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random
    }

    var guestBytes: UnsafeMutableRawPointer { memory.hostBase }
    var memoryAddress: UInt64 { native.memoryAddress }
    var area: UnsafeMutableRawPointer { state.xsaveArea }

    func decode(_ bytes: [UInt8], size: CodeSize = .bits64) -> DecodedInstruction? {
        var instruction = DecodedInstruction()
        let status = bytes.withUnsafeBufferPointer { buffer in
            InstructionDecoder.decode(
                buffer.baseAddress.unsafelyUnwrapped,
                count: buffer.count,
                size: size,
                into: &instruction
            )
        }
        return status == .complete ? instruction : nil
    }

    /// Executes one instruction in the interpreter; the fault, if any.
    func interpret(_ bytes: [UInt8], size: CodeSize = .bits64) -> Fault? {
        guard var instruction = decode(bytes, size: size), instruction.operation.rawValue >= Operation.firstVector
        else {
            return .invalidOpcode
        }
        state[field: Layout.instructionRIP] = Self.rip
        state.rip = Self.rip &+ UInt64(instruction.length)
        do throws(Fault) {
            bytes.withUnsafeBufferPointer { core.prepareVector(&instruction, bytes: $0.baseAddress.unsafelyUnwrapped) }
            try core.executeVector(&instruction)
            return nil
        } catch {
            return error
        }
    }

    /// Copies the interpreter's state and memory to the native executor.
    func copyToNative() {
        for index in 0..<16 { native.state[index] = state[index] }
        native.state.rflags = state.rflags
        native.state.xsaveArea.copyMemory(from: area, byteCount: 832)
        native.memory.copyMemory(from: UnsafeRawBufferPointer(start: guestBytes, count: 0x2000))
    }

    /// What differs between the interpreter's and the native state, or nil.
    ///
    /// `ignoring`: Arithmetic flags that are undefined.
    func difference(ignoring: UInt64 = 0) -> String? {
        for index in 0..<16 where state[index] != native.state[index] {
            return "r\(index) \(hex(state[index])) native \(hex(native.state[index]))"
        }
        let flags = RFlags.arithmetic & ~ignoring
        if (state.rflags ^ native.state.rflags) & flags != 0 {
            return "flags \(hex(state.rflags & flags)) native \(hex(native.state.rflags & flags))"
        }
        let other = native.state.xsaveArea
        for at in 0..<832 where !(5..<24 ~= at) && !(28..<32 ~= at) && !(416..<576 ~= at) {
            // Bytes behind the ten of an x87 register are reserved.
            if 32..<160 ~= at, at & 15 >= 10 { continue }
            let mine = area.load(fromByteOffset: at, as: UInt8.self)
            let theirs = other.load(fromByteOffset: at, as: UInt8.self)
            if mine != theirs {
                let start = at & ~7
                return "xsave \(at): \(hex(area.load(fromByteOffset: start, as: UInt64.self))) "
                    + "native \(hex(other.load(fromByteOffset: start, as: UInt64.self)))"
            }
        }
        // Only the part around RDI is ever written; RSP's page is not used.
        for at in stride(from: 0xF00, to: 0x1200, by: 8) {
            let mine = guestBytes.load(fromByteOffset: at, as: UInt64.self)
            let theirs = native.memory.load(fromByteOffset: at, as: UInt64.self)
            if mine != theirs { return "memory \(at): \(hex(mine)) native \(hex(theirs))" }
        }
        return nil
    }

    func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// Runs `bytes` on both from the interpreter's current state; what differs, or nil.
    func compare(_ bytes: [UInt8]) -> String? {
        copyToNative()
        let outcome = native.run(bytes)
        let fault = interpret(bytes)
        let expected: UInt8?
        switch outcome {
        case .completed: expected = nil
        case .exception(let vector, _, _, _): expected = vector
        }
        if fault?.vector != expected {
            return "fault \(fault.map { "\($0.vector)" } ?? "none") native \(expected.map { "\($0)" } ?? "none")"
        }
        let undefined = decode(bytes).map { OpcodeTable.row($0.row).flagsUndefined } ?? 0
        return difference(ignoring: UInt64(undefined))
    }

    // MARK: Random state

    /// Fills vector registers, memory and flags; RDI points into memory, 64-byte aligned.
    func randomize(smallIntegers: Bool = false) {
        let s = state
        for index in 0..<16 where index != 4 { s[index] = next() }
        s[4] = memoryAddress + 0x8000
        s[7] = memoryAddress + 0x1000
        s.setArithmeticFlags(next())
        for at in stride(from: 160, to: 416, by: 8) {
            area.storeBytes(of: element(smallIntegers), toByteOffset: at, as: UInt64.self)
        }
        for at in stride(from: 576, to: 832, by: 8) {
            area.storeBytes(of: element(smallIntegers), toByteOffset: at, as: UInt64.self)
        }
        for at in stride(from: 0xF00, to: 0x1200, by: 8) {
            guestBytes.storeBytes(of: element(smallIntegers), toByteOffset: at, as: UInt64.self)
        }
        s.mxcsr = 0x1F80 | UInt32(next() & 0x6000)
        area.storeBytes(of: 0x37F, as: UInt16.self)
        area.storeBytes(of: 0, toByteOffset: 2, as: UInt16.self)
        area.storeBytes(of: 0, toByteOffset: 4, as: UInt16.self)
        for index in 0..<8 { setX87(index, significand: 0, exponent: 0) }
    }

    func setX87(_ index: Int, significand: UInt64, exponent: UInt16) {
        area.storeBytes(of: significand, toByteOffset: 32 + index * 16, as: UInt64.self)
        area.storeBytes(of: UInt64(exponent), toByteOffset: 40 + index * 16, as: UInt64.self)
    }

    /// Random x87 registers, tags, TOP, precision and rounding.
    func randomizeX87(masks: UInt16 = 0x3F) {
        let control = 0x40 | masks | UInt16(next() & 0xC00) | [0, 0x200, 0x300][Int(next() % 3)]
        area.storeBytes(of: control, as: UInt16.self)
        area.storeBytes(of: UInt16(next() & 0x7800), toByteOffset: 2, as: UInt16.self)
        area.storeBytes(of: next() % 4 == 0 ? UInt16(next() & 0xFF) : 0xFF, toByteOffset: 4, as: UInt16.self)
        for index in 0..<8 {
            let sign = UInt16(next() & 1) << 15
            switch next() % 10 {
            case 0: setX87(index, significand: 0, exponent: sign)
            case 1: setX87(index, significand: 1 << 63, exponent: sign | 0x7FFF)
            case 2: setX87(index, significand: 3 << 62 | next() >> 2, exponent: sign | 0x7FFF)
            case 3: setX87(index, significand: next() >> 1, exponent: sign)
            case 4: setX87(index, significand: 1 << 63, exponent: sign | 0x3FFF)
            case 5: setX87(index, significand: next() | 1 << 63, exponent: sign | UInt16(next() & 0x7FFF) % 0x7FFF)
            default: setX87(index, significand: next() | 1 << 63, exponent: sign | (0x3FF0 + UInt16(next() & 31)))
            }
        }
    }

    private func element(_ smallIntegers: Bool) -> UInt64 {
        if smallIntegers { return (next() & 0xFF) | (next() & 0xFF) << 32 }
        let sign = next() & 1
        switch next() % 12 {
        case 0: return 0
        case 1: return sign << 63 | UInt64(0x3F80_0000) << 32 | sign << 31 | 0x4000_0000
        case 2: return Double(Int64(bitPattern: next()) >> 40).bitPattern
        case 3:
            return UInt64(Float(Int32(truncatingIfNeeded: next()) >> 16).bitPattern) << 32
                | UInt64(Float(3.25).bitPattern)
        case 4: return sign << 63 | next() >> 14
        case 5: return UInt64(next() & 0x7F_FFFF) << 32 | sign << 31 | next() & 0x7F_FFFF
        case 6: return 0x7FF0_0000_0000_0000 | sign << 63
        case 7: return 0x7FF8_0000_0000_1234 | sign << 63
        case 8: return 0x7F80_0000_7FC0_0001 | sign << 31
        case 9: return 0x7FF0_0000_7F80_1001 | sign << 63
        default: return next()
        }
    }
}
