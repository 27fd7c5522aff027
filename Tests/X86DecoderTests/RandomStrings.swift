/// Random byte strings, biased towards instructions: SplitMix64 from a seed.
struct RandomStrings {
    private var state: UInt64
    let bits: Int
    static let legacyPrefixes: [UInt8] = [0x66, 0x67, 0xF2, 0xF3, 0xF0, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65]

    init(seed: UInt64, bits: Int) {
        state = seed
        self.bits = bits
    }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    private mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next() >> 24) }
    private mutating func below(_ bound: UInt64) -> Int { Int((next() >> 8) % bound) }

    /// The next string, of 15 bytes, that may be run: nothing that enters the kernel.
    mutating func string() -> [UInt8] {
        while true {
            let bytes = candidate()
            if !entersKernel(bytes) { return bytes }
        }
    }

    private mutating func candidate() -> [UInt8] {
        var bytes: [UInt8] = []
        let kind = below(10)
        if kind >= 3 {
            if kind >= 5 {
                for _ in 0..<below(4) { bytes.append(Self.legacyPrefixes[below(UInt64(Self.legacyPrefixes.count))]) }
            }
            if bits == 64, below(3) == 0 { bytes.append(0x40 | byte() & 15) }
            switch below(8) {
            case 0, 1: break
            case 2, 3: bytes.append(0x0F)
            case 4: bytes += [0x0F, 0x38]
            case 5: bytes += [0x0F, 0x3A]
            case 6: bytes += [0xC5, byte() | 0xC0]
            default: bytes += [0xC4, 0xE0 | UInt8(1 + below(3)), byte() | (below(2) == 0 ? 0x78 : 0)]
            }
        }
        while bytes.count < 15 { bytes.append(byte()) }
        return bytes
    }

    /// The offset of the first byte that is no prefix.
    func opcodeOffset(_ bytes: [UInt8]) -> Int {
        var offset = 0
        while offset < 14, Self.legacyPrefixes.contains(bytes[offset]) || bits == 64 && bytes[offset] & 0xF0 == 0x40 {
            offset += 1
        }
        return offset
    }

    /// SYSCALL, SYSENTER and INT n, found without the decoder under test.
    private func entersKernel(_ bytes: [UInt8]) -> Bool {
        let offset = opcodeOffset(bytes)
        if bytes[offset] == 0xCD { return true }
        return offset < 14 && bytes[offset] == 0x0F && (bytes[offset + 1] == 0x05 || bytes[offset + 1] == 0x34)
    }
}
