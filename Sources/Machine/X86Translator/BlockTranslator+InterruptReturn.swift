import X86
import X86Decoder
import X86Interpreter

/// IRETQ, from supervisor code to the flat segments that SYSCALL and SYSRET load too.
///
/// The stack's frame and the descriptor table are read through the TLB. Whatever is unusual - another selector, another descriptor,
/// a flag that changes more than arithmetic and IF, an event that IF would let in - is left to the interpreter, which finds all as it was.
extension BlockTranslator {
    private var r9: UInt8 { HostRegisters.address }
    private var rcx: UInt8 { HostRegisters.scratch }
    private var rax: UInt8 { HostRegisters.rax }
    private var rdx: UInt8 { 2 }

    /// The selectors of one privilege; for the supervisor the stack's may be 0, whose segment is absent.
    private struct FlatPair {
        var code: UInt64
        var stack: UInt64
        var level: UInt64
        /// Present, accessed, with every limit ignored or at its largest.
        var codeDescriptor: UInt64 { 0x00AF_9B00_0000_FFFF | level << 45 }
        var stackDescriptor: UInt64 { 0x00CF_9300_0000_FFFF | level << 45 }
        var selectors: UInt64 { code | stack << 16 }
    }

    /// - Returns: Whether code was made.
    mutating func interruptReturn() -> Bool {
        let star = environment.signature.star
        guard table == 1, i.operandByteCount == 8, environment.signature.hasSystemCalls else { return false }
        let kernel = FlatPair(code: star >> 32 & 0xFFFC, stack: (star >> 32 & 0xFFFC) + 8, level: 0)
        let user = FlatPair(code: ((star >> 48) &+ 16) & 0xFFFF | 3, stack: ((star >> 48) &+ 8) & 0xFFFF | 3, level: 3)
        let selectors = [kernel.code, kernel.stack, user.code, user.stack]
        guard let least = selectors.min().map({ $0 & ~7 }), let most = selectors.max().map({ $0 | 7 }), least >= 8,
            selectors.allSatisfy({ $0 & 4 == 0 }), most - least < 128
        else { return false }
        count(excluding: 0)
        // Both checks come before anything is changed.
        let resume = e.offset
        e.loadState(r9, TranslatorLayout.gdtBase)
        e.lea(r9, base: r9, Int(least))
        check(Int(most - least) + 1, write: false, resume: resume)
        e.joinAddress()
        e.storeState(TranslatorLayout.descriptors, r9)
        stack(0, 40, write: false)
        e.joinAddress()
        // PUSHFQ; POP RCX
        e.bytes(0x599C, 2)
        e.storeState(TranslatorLayout.temporary, rcx)
        e.storeState(TranslatorLayout.general(0), rax)
        e.storeState(TranslatorLayout.general(2), rdx)
        e.loadState(rdx, TranslatorLayout.descriptors)
        var slow = commonConditions(most)
        // MOVZX EAX, word [R9 + 8]; MOVZX ECX, word [R9 + 32]; SHL ECX, 16; OR EAX, ECX
        e.bytes(0x08_41B7_0F41, 5)
        e.bytes(0x20_49B7_0F41, 5)
        e.bytes(0x10E1C1, 3)
        e.bytes(0xC809, 2)
        // CMP EAX, selectors
        e.byte(0x3D)
        e.dword(Int(truncatingIfNeeded: user.selectors))
        let notUser = e.jump(if: 5, e.offset)
        slow += dataSegmentsAreAbsent()
        slow += finishInterruptReturn(user, least)
        e.patch(notUser, to: e.offset)
        e.byte(0x3D)
        e.dword(Int(truncatingIfNeeded: kernel.selectors))
        let notFlat = e.jump(if: 5, e.offset)
        slow += finishInterruptReturn(kernel, least)
        e.patch(notFlat, to: e.offset)
        e.byte(0x3D)
        e.dword(Int(truncatingIfNeeded: kernel.code))
        slow.append(e.jump(if: 5, e.offset))
        slow += finishInterruptReturn(FlatPair(code: kernel.code, stack: 0, level: 0), least)
        for field in slow { e.patch(field, to: e.offset) }
        e.loadState(rax, TranslatorLayout.general(0))
        e.loadState(rdx, TranslatorLayout.general(2))
        e.loadState(rcx, TranslatorLayout.temporary)
        // PUSH RCX; POPFQ: the guest's arithmetic flags, and ours, as they were.
        e.bytes(0x9D51, 2)
        leave()
        return true
    }

    /// Jumps, returned, for what the interpreter has to see: a short table, a blocked NMI, an event that waits, NT, unusual flags.
    private mutating func commonConditions(_ most: UInt64) -> [Int] {
        var slow: [Int] = []
        // CMP dword gs:[GDT limit], most
        e.bytes(0x25_3C81_65, 4)
        e.dword(TranslatorLayout.gdtLimit)
        e.dword(Int(most))
        slow.append(e.jump(if: 2, e.offset))
        compareWithZero(Layout.nonMaskableBlocked)
        slow.append(e.jump(if: 5, e.offset))
        compareWithZero(TranslatorLayout.deferred)
        slow.append(e.jump(if: 5, e.offset))
        // MOV RAX, [R9 + 16]; XOR RAX, gs:[system flags]
        e.bytes(0x10_418B_49, 4)
        e.bytes(0x25_0433_4865, 5)
        e.dword(TranslatorLayout.systemFlags)
        // RF is for the next instruction alone, and for breakpoints, with which no code is translated: it is dropped.
        var free = RFlags.arithmetic | RFlags.interruptEnable | 2
        if !environment.isRepeatable { free |= RFlags.rf }
        // TEST RAX, everything else
        e.bytes(0xA948, 2)
        e.dword(Int(Int32(truncatingIfNeeded: ~free)))
        slow.append(e.jump(if: 5, e.offset))
        // TEST dword gs:[system flags], NT
        e.bytes(0x25_04F7_65, 4)
        e.dword(TranslatorLayout.systemFlags)
        e.dword(Int(RFlags.nt))
        slow.append(e.jump(if: 5, e.offset))
        return slow
    }

    /// Jumps, returned, unless ES, DS, FS and GS hold nothing that a return to user code would have to take away.
    private mutating func dataSegmentsAreAbsent() -> [Int] {
        for (index, segment) in [0, 3, 4, 5].enumerated() {
            // MOV AL, gs:[attributes], then OR AL, gs:[attributes]
            e.bytes(index == 0 ? 0x25_048A_65 : 0x25_040A_65, 4)
            e.dword(TranslatorLayout.segment(segment) + 12)
        }
        // TEST AL, present
        e.bytes(0x80A8, 2)
        return [e.jump(if: 5, e.offset)]
    }

    /// Returns to `segments`, if their descriptors are what they should be, and the address is theirs; jumps, returned, otherwise.
    private mutating func finishInterruptReturn(_ segments: FlatPair, _ least: UInt64) -> [Int] {
        var slow: [Int] = []
        for (selector, descriptor) in [
            (segments.code, segments.codeDescriptor), (segments.stack, segments.stackDescriptor),
        ] where selector != 0 {
            e.move(rcx, constant: descriptor)
            // CMP [RDX + displacement], RCX
            e.bytes(0x4A_3948, 3)
            e.byte(UInt8((selector & ~7) - least))
            slow.append(e.jump(if: 5, e.offset))
        }
        // MOV RAX, [R9]; MOV RCX, RAX; SAR RCX, 47; and for the upper half INC RCX
        e.bytes(0x01_8B49, 3)
        e.move(rcx, rax)
        e.bytes(0x2F_F9C1_48, 4)
        if segments.level == 0 { e.bytes(0xC1FF_48, 3) }
        // TEST RCX, RCX
        e.bytes(0xC98548, 3)
        slow.append(e.jump(if: 5, e.offset))
        e.storeState(TranslatorLayout.returnAddress, rax)
        // MOV R11, [R9 + 24]; MOV RCX, [R9 + 16]
        e.bytes(0x18_598B_4D, 4)
        e.bytes(0x10_498B_49, 4)
        // AND ECX, ~RF
        e.bytes(0xE181, 2)
        e.dword(Int(Int32(truncatingIfNeeded: ~RFlags.rf)))
        storeSystemFlags()
        adoptFlags()
        e.loadState(rax, TranslatorLayout.general(0))
        e.loadState(rdx, TranslatorLayout.general(2))
        loadFlatSegment(1, segments.code, isCode: true)
        loadFlatSegment(2, segments.stack, isCode: false)
        if segments.level == 3 { setPrivilege(3, table: 0) }
        e.loadState(r9, TranslatorLayout.returnAddress)
        e.jump(environment.stubs.dispatch[segments.level == 3 ? 0 : 1])
        return slow
    }
}
