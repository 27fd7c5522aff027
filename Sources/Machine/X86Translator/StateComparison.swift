import X86
import X86Interpreter

/// Compares the registers that two engines left.
enum StateComparison {
    struct Difference {
        var name: String
        var before: UInt64
        var translated: UInt64
        var interpreted: UInt64
    }

    static let generalNames = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ]

    private static let lazyFlags = 0x98..<0xB0
    private static let pending = 0xB0

    /// Every field of ``CPUState`` that differs; the arithmetic flags by their values.
    static func differences(before: CPUState, translated: CPUState, interpreted: CPUState) -> [Difference] {
        var bits: UInt64 = 0
        for offset in stride(from: 0, to: lazyFlags.lowerBound, by: 8) {
            bits |= translated[field: offset] ^ interpreted[field: offset]
        }
        for offset in stride(from: lazyFlags.upperBound + 8, to: CPUState.xsaveOffset + 832, by: 8) {
            bits |= translated[field: offset] ^ interpreted[field: offset]
        }
        bits |= UInt64(translated[dword: pending + 4] ^ interpreted[dword: pending + 4])
        bits |= translated[field: Layout.tlb] ^ interpreted[field: Layout.tlb]
        if bits == 0, translated.rflags == interpreted.rflags { return [] }
        var found: [Difference] = []
        func note(_ name: String, _ value: (CPUState) -> UInt64) {
            let (a, b) = (value(translated), value(interpreted))
            if a != b { found.append(Difference(name: name, before: value(before), translated: a, interpreted: b)) }
        }
        for index in 0..<16 { note(generalNames[index]) { $0[index] } }
        note("rip") { $0.rip }
        note("rflags") { $0.rflags }
        note("mode") { UInt64($0[dword: pending + 4]) }
        note("table") { $0[field: Layout.tlb] }
        for offset in stride(from: lazyFlags.upperBound + 8, to: CPUState.xsaveOffset + 832, by: 8) {
            note(name(offset)) { $0[field: offset] }
        }
        return found
    }

    private static func name(_ offset: Int) -> String {
        switch offset {
        case 0xC0..<0xF0: "base \((offset - 0xC0) / 8)"
        case 0x100..<0x180: "segment \((offset - 0x100) / 16)"
        case 0x1A0: "cr0"
        case 0x1A8: "cr2"
        case 0x1B0: "cr3"
        case 0x1B8: "cr4"
        case 0x408, 0x410: "x87"
        case 0x418: "mxcsr"
        case 0x420..<0x4A0: "st\((offset - 0x420) / 16)"
        case 0x4A0..<0x5A0: "xmm\((offset - 0x4A0) / 16)"
        case 0x640..<0x740: "ymm\((offset - 0x640) / 16)"
        default: "state+\(hexadecimal(UInt64(offset)))"
        }
    }
}
