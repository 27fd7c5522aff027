import GuestMemory
import X86

/// Handlers for every exception and interrupt that go on at the next snippet of the random code, so that a fault costs a few
/// instructions and not the round.
///
/// A snippet starts at each 64th byte of the code. The handlers lie behind the code, with tables of their own kind in place of
/// the random ones, in pages that are mapped to themselves.
struct ExceptionHandlers {
    let state: GuestState

    private static let place: UInt64 = 0x30000
    private static let realPlace: UInt64 = 0x34000
    private static let stackTop = Layout.stack + 0x1000
    /// A stack that the random code's own pointers are far from.
    private static let interruptStackTop = Layout.stack + 0x4000
    private static let step: UInt8 = 64

    /// Makes the tables, and the registers that point to them, such that faults of code in `mode` reach the handlers.
    func install(for mode: GuestState.Mode, _ s: CPUState) {
        mapPages()
        state.fillUsualDescriptors()
        s.gdtLimit = 0x7FF
        s.rflags &= ~(RFlags.tf | RFlags.nt)
        s.cr4 &= ~(CR4.smep | CR4.smap)
        if mode == .real { return installReal() }
        let isLong = mode == .long || mode == .longUser || mode == .compatibility
        s.idtLimit = 0xFFF
        s[.tr] = Segment(base: Layout.taskState, limit: 0x3FF, attributes: 0x8B, selector: 0x60)
        let stubs = installStubs(isLong: isLong, mode)
        for (vector, address) in stubs.enumerated() {
            if isLong {
                // Interrupt gate to the 64-bit code segment, with stack 1.
                state.put(0x8E01_0008_0000 | address & 0xFFFF | (address >> 16) << 48, at: gate(vector, 16))
                state.put(0, at: gate(vector, 16) + 8)
            } else {
                state.put(0x8E00_0018_0000 | address & 0xFFFF | (address >> 16) << 48, at: gate(vector, 8))
            }
        }
        if isLong {
            for offset in [4, 12, 20, 36] as [UInt64] {
                state.put(Self.interruptStackTop, at: Layout.taskState + offset)
            }
        } else {
            for offset in [4, 12, 20] as [UInt64] {
                state.put(Self.interruptStackTop | 0x10 << 32, at: Layout.taskState + offset)
            }
        }
    }

    private func gate(_ vector: Int, _ byteCount: Int) -> UInt64 {
        Layout.interruptTable + UInt64(vector * byteCount)
    }

    /// Identity for the first 512 KiB in the tables of each kind of paging.
    private func mapPages() {
        let base = Layout.pageTables
        state.put(base + 0x1000 | 0x67, at: base)
        state.put(base + 0x2000 | 0x67, at: base + 0x1000)
        state.put(base + 0x3000 | 0x67, at: base + 0x2000)
        state.put(base + 0x2000 | 1, at: base + 0x7000)
        state.put32(UInt32(base + 0x6000 | 0x67), at: base + 0x4000)
        for page in 0..<0x80 as Range<UInt64> {
            state.put(page << 12 | 0x67, at: base + 0x3000 + page * 8)
            state.put32(UInt32(page << 12 | 0x67), at: base + 0x6000 + page * 4)
        }
    }

    /// The handlers of the 256 vectors.
    private func installStubs(isLong: Bool, _ mode: GuestState.Mode) -> [UInt64] {
        var code: [UInt8] = []
        var stubs: [UInt64] = []
        let common = 256 * 8
        for vector in 0..<256 {
            stubs.append(Self.place + UInt64(code.count))
            let hasCode = vector == 8 || (10...14).contains(vector) || vector == 17
            if !hasCode { code += [0x6A, 0x00] }  // push 0
            let distance = common - code.count - 5
            code += [0xE9] + littleEndian(UInt32(distance))  // jmp common
            code += [UInt8](repeating: 0x90, count: (vector + 1) * 8 - code.count)
        }
        code += isLong ? longHandler : protectedHandler(mode)
        state.put(code, at: Self.place)
        return stubs
    }

    /// Of the frame: [16] the error code, [24] RIP, [32] CS, [40] RFLAGS, [48] RSP, [56] SS.
    private var longHandler: [UInt8] {
        var code: [UInt8] = [0x50, 0x51]  // push rax; push rcx
        code += [0x8B, 0x44, 0x24, 0x18]  // mov eax, [rsp+24]
        code += nextSnippet(origin: Layout.code)
        code += [0x48, 0x89, 0x44, 0x24, 0x18]  // mov [rsp+24], rax
        code += [0x81, 0x64, 0x24, 0x28] + littleEndian(~UInt32(RFlags.tf | RFlags.nt))  // and dword [rsp+40], …
        code += [0x48, 0xC7, 0x44, 0x24, 0x30] + littleEndian(UInt32(Self.stackTop - 256))  // mov qword [rsp+48], …
        code += [0x59, 0x58]  // pop rcx; pop rax
        code += usualRegisters
        code += [0x48, 0x83, 0xC4, 0x08, 0x48, 0xCF]  // add rsp, 8; iretq
        return code
    }

    /// Of the frame: [4] the error code, [8] EIP, [12] CS, [16] EFLAGS, [20] ESP, [24] SS.
    private func protectedHandler(_ mode: GuestState.Mode) -> [UInt8] {
        let hasSegment = mode == .protected16 || mode == .virtual8086
        var code: [UInt8] = [0x50]  // push eax
        code += [0x8B, 0x44, 0x24, 0x08]  // mov eax, [esp+8]
        code += nextSnippet(origin: hasSegment ? 0 : Layout.code)
        code += [0x89, 0x44, 0x24, 0x08]  // mov [esp+8], eax
        code += [0x81, 0x64, 0x24, 0x10] + littleEndian(~UInt32(RFlags.tf | RFlags.nt))  // and dword [esp+16], …
        var inner: [UInt8] = []
        if mode == .virtual8086 {
            inner += [0xC7, 0x44, 0x24, 0x0C] + littleEndian(UInt32(Layout.code >> 4))  // mov dword [esp+12], …
            inner += [0xC7, 0x44, 0x24, 0x14] + littleEndian(0x800)  // mov dword [esp+20], …
        } else {
            inner += [0xC7, 0x44, 0x24, 0x14] + littleEndian(UInt32(Self.stackTop - 256))
        }
        // A frame of ring 0 has no stack pointer; one of virtual-8086 mode has, whatever its CS.
        let test: [UInt8] =
            mode == .virtual8086
            ? [0xF7, 0x44, 0x24, 0x10] + littleEndian(UInt32(RFlags.vm))  // test dword [esp+16], VM
            : [0xF6, 0x44, 0x24, 0x0C, 0x03]  // test byte [esp+12], 3
        code += test + [0x74, UInt8(inner.count)] + inner  // jz over it
        code += [0x58]  // pop eax
        code += usualRegisters
        code += [0x83, 0xC4, 0x04, 0xCF]  // add esp, 4; iret
        return code
    }

    /// eax to the start of the next snippet.
    private func nextSnippet(origin: UInt64) -> [UInt8] {
        [0x25, 0xC0, 0xFF, 0x00, 0x00, 0x83, 0xC0, Self.step, 0x0F, 0xB7, 0xC0, 0x05]  // and, add, movzx eax, ax; add
            + littleEndian(UInt32(origin))
    }

    /// Addresses and a count with which most instructions work.
    private var usualRegisters: [UInt8] {
        [0xBE] + littleEndian(UInt32(Layout.stack)) + [0xBF] + littleEndian(UInt32(Layout.stack + 0x800))  // esi, edi
            + [0xB9] + littleEndian(3) + [0xBB] + littleEndian(UInt32(Layout.stack + 0x400))  // ecx, ebx
    }

    private func installReal() {
        var code: [UInt8] = [0x55, 0x89, 0xE5, 0x50]  // push bp; mov bp, sp; push ax
        code += [0x8B, 0x46, 0x02, 0x25, 0xC0, 0xFF, 0x83, 0xC0, Self.step, 0x89, 0x46, 0x02]  // the next snippet
        code += [0xC7, 0x46, 0x04, 0x00, UInt8(Layout.code >> 12)]  // mov word [bp+4], CS
        code += [0x81, 0x66, 0x06, 0xFF, 0xBE]  // and word [bp+6], without TF and NT
        code += [0x58, 0x5D, 0xBE, 0, 2, 0xBF, 0, 3, 0xB9, 3, 0, 0xCF]  // pop ax; pop bp; si, di, cx; iret
        state.put(code, at: Self.realPlace)
        for vector in 0..<256 as Range<UInt64> { state.put32(UInt32(Self.realPlace >> 4) << 16, at: vector * 4) }
    }

    private func littleEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    private func littleEndian(_ value: Int) -> [UInt8] { littleEndian(UInt32(value)) }
}
