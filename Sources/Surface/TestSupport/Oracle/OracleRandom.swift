/// SplitMix64: every case of the oracle has its own, made from the seed and the case's number alone.
struct OracleRandom {
    private var state: UInt64

    init(seed: UInt64, number: UInt64) {
        state = (seed &+ 1) &* 0xD134_2543_DE82_EF95 ^ number &* 0x9E37_79B9_7F4A_7C15
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    /// 0..<`count`.
    mutating func below(_ count: Int) -> Int { Int(truncatingIfNeeded: next() >> 33) % max(count, 1) }
    mutating func chance(percent: Int) -> Bool { below(100) < percent }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next() >> 24) }

    /// Integers near the places where results change their kind, and any others.
    mutating func integer() -> UInt64 {
        switch below(8) {
        case 0: UInt64(below(256))
        case 1: UInt64(bitPattern: -Int64(below(256)))
        case 2: (1 << UInt64(below(64))) &+ UInt64(bitPattern: Int64(below(3) - 1))
        case 3: next() >> UInt64(below(64))
        case 4: ~(next() >> UInt64(below(64)))
        case 5: [0x7F, 0x80, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 1 << 63, .max][below(8)]
        default: next()
        }
    }
}
