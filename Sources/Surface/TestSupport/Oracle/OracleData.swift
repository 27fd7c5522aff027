/// A pool of bytes that memory and registers are filled from: integers, and floating-point numbers of every kind.
struct OracleData {
    static let byteCount = 64 << 10
    let bytes: UnsafeMutableRawPointer
    /// 256 x87 values, 16 bytes each.
    let extended: UnsafeMutableRawPointer

    init() {
        var random = OracleRandom(seed: 7, number: 7)
        bytes = .allocate(byteCount: Self.byteCount + 0x4000, alignment: 64)
        for at in stride(from: 0, to: Self.byteCount + 0x4000, by: 8) {
            bytes.storeBytes(of: Self.element(&random, region: at >> 11 & 3), toByteOffset: at, as: UInt64.self)
        }
        extended = .allocate(byteCount: 256 * 16, alignment: 64)
        for index in 0..<256 {
            let (significand, exponent) = Self.extendedValue(&random)
            extended.storeBytes(of: significand, toByteOffset: index * 16, as: UInt64.self)
            extended.storeBytes(of: UInt64(exponent), toByteOffset: index * 16 + 8, as: UInt64.self)
        }
    }

    /// Regions of 2 KiB take turns: doubles, floats, integers, everything.
    private static func element(_ random: inout OracleRandom, region: Int) -> UInt64 {
        let kind = region == 3 ? random.below(3) : region
        switch kind {
        case 0: return double(&random)
        case 1: return UInt64(single(&random)) << 32 | UInt64(single(&random))
        default: return random.integer()
        }
    }

    private static func double(_ random: inout OracleRandom) -> UInt64 {
        let sign = random.next() & 1 << 63
        let fraction = random.next() >> 12
        return switch random.below(12) {
        case 0: sign
        case 1: sign | 0x7FF << 52
        case 2: sign | 0x7FF << 52 | fraction
        case 3: sign | fraction
        case 4: sign | 0x3FF << 52
        case 5: Double(Int32(truncatingIfNeeded: random.next())).bitPattern
        case 6: Double(Int64(bitPattern: random.next())).bitPattern
        case 7: sign | 0x7FE << 52 | fraction
        case 8: sign | 1 << 52 | fraction
        case 9: random.next()
        default: sign | UInt64(0x3F0 + random.below(32)) << 52 | fraction
        }
    }

    private static func single(_ random: inout OracleRandom) -> UInt32 {
        let sign = UInt32(random.below(2)) << 31
        let fraction = UInt32(truncatingIfNeeded: random.next()) >> 9
        return switch random.below(12) {
        case 0: sign
        case 1: sign | 0xFF << 23
        case 2: sign | 0xFF << 23 | fraction
        case 3: sign | fraction
        case 4: sign | 0x7F << 23
        case 5: Float(Int16(truncatingIfNeeded: random.below(65536))).bitPattern
        case 6: Float(Int32(truncatingIfNeeded: random.next())).bitPattern
        case 7: sign | 0xFE << 23 | fraction
        case 8: sign | 1 << 23 | fraction
        case 9: UInt32(truncatingIfNeeded: random.next())
        default: sign | UInt32(0x70 + random.below(32)) << 23 | fraction
        }
    }

    private static func extendedValue(_ random: inout OracleRandom) -> (UInt64, UInt16) {
        let sign = UInt16(random.below(2)) << 15
        let integerBit: UInt64 = 1 << 63
        return switch random.below(12) {
        case 0: (0, sign)
        case 1: (integerBit, sign | 0x7FFF)
        case 2: (3 << 62 | random.next() >> 2, sign | 0x7FFF)
        case 3: (integerBit | random.next() >> 3, sign | 0x7FFF)
        case 4: (random.next() >> 1, sign)
        case 5: (integerBit, sign | 0x3FFF)
        case 6: (random.next() | integerBit, sign | UInt16(random.below(0x7FFF)))
        // Unnormal: an invalid operand.
        case 7: (random.next() >> 1, sign | UInt16(1 + random.below(0x7FFF)))
        case 8: (random.next() << 40 | integerBit, sign | UInt16(0x3FFF + random.below(70)))
        default: (random.next() | integerBit, sign | UInt16(0x3FF0 + random.below(32)))
        }
    }
}
