import TestSupport
import Testing
import X86

@testable import X86Interpreter

@Suite(.serialized) struct VectorStateTests {
    static let addps: [UInt8] = [0x0F, 0x58, 0xC1]
    static let vaddps: [UInt8] = [0xC5, 0xF4, 0x58, 0xC2]
    static let paddMMX: [UInt8] = [0x0F, 0xFC, 0xC1]
    static let fld1: [UInt8] = [0xD9, 0xE8]

    @Test func `SSE needs OSFXSR and minds EM before TS`() throws {
        let rig = try VectorRig()
        rig.randomize()
        rig.state.cr0 |= CR0.taskSwitched
        #expect(rig.interpret(Self.addps) == .deviceNotAvailable)
        #expect(rig.interpret(Self.fld1) == .deviceNotAvailable)
        #expect(rig.interpret(Self.vaddps) == .deviceNotAvailable)
        rig.state.cr0 |= CR0.emulation
        #expect(rig.interpret(Self.addps) == .invalidOpcode)
        #expect(rig.interpret(Self.paddMMX) == .invalidOpcode)
        #expect(rig.interpret(Self.fld1) == .deviceNotAvailable)
        rig.enterLongMode()
        rig.state.cr4 &= ~CR4.osfxsr
        #expect(rig.interpret(Self.addps) == .invalidOpcode)
        #expect(rig.interpret(Self.paddMMX) == nil)
    }

    @Test func `AVX needs OSXSAVE and both of its components`() throws {
        let rig = try VectorRig()
        rig.randomize()
        #expect(rig.interpret(Self.vaddps) == nil)
        rig.state.xcr0 = 3
        #expect(rig.interpret(Self.vaddps) == .invalidOpcode)
        rig.state.xcr0 = 7
        rig.state.cr4 &= ~CR4.osxsave
        #expect(rig.interpret(Self.vaddps) == .invalidOpcode)
    }

    @Test func `A misaligned SSE operand is #GP and a VEX one is not`() throws {
        let rig = try VectorRig()
        rig.randomize()
        rig.state[7] = rig.memoryAddress + 0x1008
        // addps xmm0, [rdi]; movaps [rdi], xmm0; movups [rdi], xmm0; vaddps ymm0, ymm1, [rdi]; vmovaps ymm0, [rdi]
        #expect(rig.interpret([0x0F, 0x58, 0x07]) == .generalProtection())
        #expect(rig.interpret([0x0F, 0x29, 0x07]) == .generalProtection())
        #expect(rig.interpret([0x0F, 0x11, 0x07]) == nil)
        #expect(rig.interpret([0xC5, 0xF4, 0x58, 0x07]) == nil)
        #expect(rig.interpret([0xC5, 0xFC, 0x28, 0x07]) == .generalProtection())
    }

    @Test func `A pending x87 exception faults at the next waiting instruction`() throws {
        let rig = try VectorRig()
        rig.randomize()
        // fninit; fldcw [rdi] unmasking division; fldz; fld1; fdiv st0, st1
        rig.guestBytes.storeBytes(of: 0x37B, toByteOffset: 0x1000, as: UInt16.self)
        for bytes: [UInt8] in [[0xDB, 0xE3], [0xD9, 0x2F], [0xD9, 0xEE], Self.fld1, [0xD8, 0xF1]] {
            #expect(rig.interpret(bytes) == nil)
        }
        #expect(rig.interpret(Self.fld1) == .exception(ExceptionVector.x87))
        #expect(rig.interpret(Self.paddMMX) == .exception(ExceptionVector.x87))
        #expect(rig.interpret([0x9B]) == .exception(ExceptionVector.x87))
        #expect(rig.interpret([0xDF, 0xE0]) == nil)
        #expect(rig.state.rax & 0x8084 == 0x8084)
        // fnclex
        #expect(rig.interpret([0xDB, 0xE2]) == nil)
        #expect(rig.interpret(Self.fld1) == nil)
        #expect(rig.core.x87InstructionPointer == VectorRig.rip)
    }

    @Test func `LDMXCSR refuses reserved bits`() throws {
        let rig = try VectorRig()
        rig.randomize()
        let before = rig.state.mxcsr
        rig.guestBytes.storeBytes(of: 0x1_1F80, toByteOffset: 0x1000, as: UInt32.self)
        #expect(rig.interpret([0x0F, 0xAE, 0x17]) == .generalProtection())
        #expect(rig.state.mxcsr == before)
    }

    @Test(arguments: [
        ("fxsave64", [0x48, 0x0F, 0xAE, 0x07] as [UInt8], [0x48, 0x0F, 0xAE, 0x0F] as [UInt8]),
        ("xsave64", [0x48, 0x0F, 0xAE, 0x27], [0x48, 0x0F, 0xAE, 0x2F]),
        ("xsaveopt64", [0x48, 0x0F, 0xAE, 0x37], [0x48, 0x0F, 0xAE, 0x2F]),
        ("xsavec64", [0x48, 0x0F, 0xC7, 0x27], [0x48, 0x0F, 0xAE, 0x2F]),
    ])
    func `What is saved is restored, by the host too`(name: String, save: [UInt8], restore: [UInt8]) throws {
        let rig = try VectorRig()
        rig.randomize()
        rig.randomizeX87()
        rig.state.rax = 7
        rig.state.rdx = 0
        (rig.guestBytes + 0x1000).initializeMemory(as: UInt8.self, repeating: 0, count: 1024)
        let before = [UInt8](UnsafeRawBufferPointer(start: rig.area, count: 832))
        #expect(rig.interpret(save) == nil)
        rig.randomize()
        rig.state.rax = 7
        rig.state.rdx = 0
        // The image survives: randomize fills memory, so keep a copy.
        rig.native.state.reset()
        (rig.guestBytes + 0x2000).initializeMemory(as: UInt8.self, repeating: 0, count: 1024)
        #expect(name.hasSuffix("64"))
        rig.area.copyMemory(from: before, byteCount: 832)
        rig.state[7] = rig.memoryAddress + 0x2000
        #expect(rig.interpret(save) == nil)
        rig.native.memory.copyMemory(from: UnsafeRawBufferPointer(start: rig.guestBytes, count: 0x3000))
        (rig.area).initializeMemory(as: UInt8.self, repeating: 0x11, count: 512)
        rig.state.mxcsr = 0x1F80
        #expect(rig.interpret(restore) == nil)
        for at in 0..<832 where !(24..<32 ~= at) && !(416..<576 ~= at) {
            if 32..<160 ~= at, at & 15 >= 10 { continue }
            #expect(rig.area.load(fromByteOffset: at, as: UInt8.self) == before[at], "byte \(at)")
        }
        for index in 0..<16 { rig.native.state[index] = rig.state[index] }
        #expect(rig.native.run(restore) == .completed)
        let host = rig.native.state.xsaveArea
        for at in 160..<416 { #expect(host.load(fromByteOffset: at, as: UInt8.self) == before[at], "host byte \(at)") }
    }

    @Test func `XRSTOR refuses a header that names what is not enabled`() throws {
        let rig = try VectorRig()
        rig.randomize()
        rig.state.rax = 7
        (rig.guestBytes + 0x1000).initializeMemory(as: UInt8.self, repeating: 0, count: 1024)
        let xrstor: [UInt8] = [0x48, 0x0F, 0xAE, 0x2F]
        rig.guestBytes.storeBytes(of: 0x1F80, toByteOffset: 0x1018, as: UInt32.self)
        #expect(rig.interpret(xrstor) == nil)
        #expect(rig.core.componentsInUse == 0)
        for (offset, value) in [(0x200, 8 as UInt64), (0x208, 1), (0x210, 1), (0x208, 1 << 63 | 8)] {
            rig.guestBytes.storeBytes(of: value, toByteOffset: 0x1000 + offset, as: UInt64.self)
            #expect(rig.interpret(xrstor) == .generalProtection())
            rig.guestBytes.storeBytes(of: 0, toByteOffset: 0x1000 + offset, as: UInt64.self)
        }
        rig.state[7] &+= 16
        #expect(rig.interpret(xrstor) == .generalProtection())
    }

    @Test func `SHA-1 and SHA-256 of abc come out right`() throws {
        let rig = try VectorRig()
        func lanes(_ number: Int) -> SHA.Lanes { SHA.lanes(rig.core.low(number)) }
        /// Runs an instruction on XMM1, XMM2 and XMM0.
        func run(_ bytes: [UInt8], _ a: SHA.Lanes, _ b: SHA.Lanes, _ zero: SHA.Lanes = SHA.Lanes()) -> SHA.Lanes {
            rig.core.setLow(1, SHA.half(a))
            rig.core.setLow(2, SHA.half(b))
            rig.core.setLow(0, SHA.half(zero))
            #expect(rig.interpret(bytes) == nil)
            return lanes(1)
        }
        var block = [UInt32](repeating: 0, count: 16)
        block[0] = 0x6162_6380
        block[15] = 24

        var words = (0..<4).map { SHA.Lanes(block[$0 * 4 + 3], block[$0 * 4 + 2], block[$0 * 4 + 1], block[$0 * 4]) }
        for at in 4..<20 {
            let first = run([0x0F, 0x38, 0xC9, 0xCA], words[at - 4], words[at - 3]) ^ words[at - 2]
            words.append(run([0x0F, 0x38, 0xCA, 0xCA], first, words[at - 1]))
        }
        let start = SHA.Lanes(0x1032_5476, 0x98BA_DCFE, 0xEFCD_AB89, 0x6745_2301)
        var abcd = start
        var previous = start
        for at in 0..<20 {
            var e = words[at]
            if at == 0 { e[3] = e[3] &+ 0xC3D2_E1F0 } else { e = run([0x0F, 0x38, 0xC8, 0xCA], previous, words[at]) }
            previous = abcd
            abcd = run([0x0F, 0x3A, 0xCC, 0xCA, UInt8(at / 5)], abcd, e)
        }
        let digest = abcd &+ start
        #expect(digest == SHA.Lanes(0x7850_C26C, 0xBA3E_2571, 0x4706_816A, 0xA999_3E36))

        let constants = Self.constants256
        var schedule = (0..<4).map { SHA.Lanes(block[$0 * 4], block[$0 * 4 + 1], block[$0 * 4 + 2], block[$0 * 4 + 3]) }
        for at in 4..<16 {
            let last = schedule[at - 1]
            let middle = SHA.Lanes(schedule[at - 2][1], schedule[at - 2][2], schedule[at - 2][3], last[0])
            let first = run([0x0F, 0x38, 0xCC, 0xCA], schedule[at - 4], schedule[at - 3]) &+ middle
            schedule.append(run([0x0F, 0x38, 0xCD, 0xCA], first, last))
        }
        var abef = SHA.Lanes(0x9B05_688C, 0x510E_527F, 0xBB67_AE85, 0x6A09_E667)
        var cdgh = SHA.Lanes(0x5BE0_CD19, 0x1F83_D9AB, 0xA54F_F53A, 0x3C6E_F372)
        for at in 0..<16 {
            let constant = SHA.Lanes(
                constants[at * 4],
                constants[at * 4 + 1],
                constants[at * 4 + 2],
                constants[at * 4 + 3]
            )
            let wk = schedule[at] &+ constant
            cdgh = run([0x0F, 0x38, 0xCB, 0xCA], cdgh, abef, wk)
            abef = run([0x0F, 0x38, 0xCB, 0xCA], abef, cdgh, SHA.Lanes(wk[2], wk[3], 0, 0))
        }
        #expect(abef[3] &+ 0x6A09_E667 == 0xBA78_16BF)
        #expect(cdgh[0] &+ 0x5BE0_CD19 == 0xF200_15AD)
    }

    /// FIPS 180-4 §4.2.2: the fractions of the cube roots of the first 64 primes.
    static let constants256: [UInt32] = {
        var primes: [Int] = []
        var candidate = 2
        while primes.count < 64 {
            if !primes.contains(where: { candidate % $0 == 0 }) { primes.append(candidate) }
            candidate += 1
        }
        return primes.map { prime in
            // The integer cube root of prime · 2^96, bit by bit; its low 32 bits are the fraction.
            var root: UInt64 = 0
            for bit in stride(from: 34, through: 0, by: -1) {
                let trial = root | 1 << UInt64(bit)
                let square = trial.multipliedFullWidth(by: trial)
                let low = square.low.multipliedFullWidth(by: trial)
                let high = square.high &* trial &+ low.high
                if high < UInt64(prime) << 32 { root = trial }
            }
            return UInt32(truncatingIfNeeded: root)
        }
    }()
}
