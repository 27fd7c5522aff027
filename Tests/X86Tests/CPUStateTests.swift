import Testing
import X86

/// A state block for one test.
final class StateBlock {
    let raw: UnsafeMutableRawPointer
    var state: CPUState { CPUState(raw: raw) }

    init() {
        raw = .allocate(byteCount: CPUState.byteCount, alignment: 64)
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: CPUState.byteCount)
    }
    deinit { raw.deallocate() }
}

struct CPUStateTests {
    private let block = StateBlock()

    @Test func `Every combination of arithmetic flags survives being split and put together`() {
        let s = block.state
        let bits = [RFlags.cf, RFlags.pf, RFlags.af, RFlags.zf, RFlags.sf, RFlags.of]
        for combination in 0..<64 {
            var flags: UInt64 = 2
            for (index, bit) in bits.enumerated() where combination >> index & 1 != 0 { flags |= bit }
            s.rflags = flags
            #expect(s.rflags == flags)
            #expect(s.carryFlag == (flags & RFlags.cf != 0))
            #expect(s.zeroFlag == (flags & RFlags.zf != 0))
            #expect(s.signFlag == (flags & RFlags.sf != 0))
            #expect(s.overflowFlag == (flags & RFlags.of != 0))
            #expect(s.parityFlag == (flags & RFlags.pf != 0))
            #expect(s.auxiliaryFlag == (flags & RFlags.af != 0))
        }
    }

    @Test func `RFLAGS keeps only bits that exist, and bit 1`() {
        let s = block.state
        s.rflags = .max
        #expect(s.rflags == RFlags.defined)
        s.rflags = 0
        #expect(s.rflags == 2)
    }

    @Test func `A mask changes some arithmetic flags and leaves the rest`() {
        let s = block.state
        s.rflags = RFlags.cf | RFlags.sf | RFlags.tf | 2
        s.setArithmeticFlags(RFlags.zf, mask: RFlags.zf | RFlags.sf)
        #expect(s.rflags == RFlags.cf | RFlags.zf | RFlags.tf | 2)
    }

    @Test func `A lazy result gives zero, sign and parity`() {
        let s = block.state
        s.lazyCarries = 0
        s.lazyResult = UInt64(bitPattern: -1)
        #expect(s.signFlag && s.parityFlag && !s.zeroFlag)
        s.lazyResult = 0x10
        #expect(!s.signFlag && !s.parityFlag && !s.zeroFlag)
    }

    @Test(
        arguments: [
            (0, 0, false, false, ExecutionMode.real),
            (CR0.protectionEnable, 0, false, false, .protected16),
            (CR0.protectionEnable, 0, true, false, .protected32),
            (CR0.protectionEnable, EFER.longModeActive, false, false, .compatibility16),
            (CR0.protectionEnable, EFER.longModeActive, true, false, .compatibility32),
            (CR0.protectionEnable, EFER.longModeActive, false, true, .long64),
        ] as [(UInt64, UInt64, Bool, Bool, ExecutionMode)]
    )
    func `The mode follows CR0, EFER and CS`(cr0: UInt64, efer: UInt64, isBig: Bool, isLong: Bool, mode: ExecutionMode)
    {
        let s = block.state
        s.cr0 = cr0
        s.efer = efer
        s[.cs] = Segment(
            base: 0x1000,
            limit: .max,
            attributes: 0x9B | (isBig ? 0x4000 : 0) | (isLong ? 0x2000 : 0),
            selector: 8
        )
        s[.fs] = Segment(base: 0x2000, limit: .max, attributes: 0x93, selector: 0)
        s.updateMode()
        #expect(s.mode == mode)
        #expect(s.effectiveBase(1) == (mode == .long64 ? 0 : 0x1000))
        #expect(s.effectiveBase(4) == 0x2000)
    }

    @Test func `RFLAGS.VM makes protected mode virtual-8086 mode`() {
        let s = block.state
        s.cr0 = CR0.protectionEnable
        s.rflags = RFlags.vm | 2
        s.updateMode()
        #expect(s.mode == .virtual8086 && s.mode.isRealLike)
    }

    @Test func `A segment register keeps its hidden parts`() {
        let s = block.state
        let segment = Segment(base: 0x1234_5678_9ABC, limit: 0xFFFF_FFFF, attributes: 0xC0F3, selector: 0x2B)
        s[.gs] = segment
        #expect(s[.gs] == segment)
        #expect(segment.dpl == 3 && segment.isPresent && segment.isWritable && segment.isBig && segment.isPageGranular)
        #expect(!segment.isCode && !segment.isLong && !segment.isExpandDown)
    }

    @Test func `General registers, the zero and RIP have fixed places`() {
        let s = block.state
        for index in 0..<16 { s[index] = UInt64(index) + 100 }
        s.rip = 7
        #expect(s.rsp == 104 && s[15] == 115 && s[CPUState.ripIndex] == 7 && s[CPUState.noRegister] == 0)
    }
}
