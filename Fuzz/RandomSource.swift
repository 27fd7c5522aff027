/// Seeded randomness (SplitMix64), with a taste for values at the edges.
struct RandomSource: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0 to `bound` - 1.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }
    mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
    mutating func pick<T>(_ list: [T]) -> T { list[below(list.count)] }
    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in byte() } }

    /// A number of any size: small, near a power of two, an address of the test machine, or anything.
    mutating func number() -> UInt64 {
        switch below(8) {
        case 0: UInt64(below(256))
        case 1: (1 << UInt64(below(64))) &+ UInt64(below(5)) &- 2
        case 2: .max &- UInt64(below(256))
        case 3, 4: UInt64(below(Layout.ramByteCount))
        case 5: Layout.deviceAddress(&self)
        case 6: next() & 0xFFFF_FFFF
        default: next()
        }
    }
}

/// Where the test machine has what.
enum Layout {
    static let ramByteCount = 4 << 20
    static let globalTable: UInt64 = 0x1000
    static let interruptTable: UInt64 = 0x2000
    static let taskState: UInt64 = 0x4000
    static let pageTables: UInt64 = 0x10000
    static let code: UInt64 = 0x20000
    static let codeByteCount = 0x10000
    static let stack: UInt64 = 0x60000
    static let barBase: UInt64 = 0xC000_0000

    /// An address that some device answers at.
    static func deviceAddress(_ random: inout RandomSource) -> UInt64 {
        let low = UInt64(random.below(0x1000)) & ~(random.oneIn(4) ? 0 : 3)
        switch random.below(8) {
        case 0: return 0xFEC0_0000 + low % 0x40
        case 1: return 0xFEE0_0000 + (low & ~0xF)
        case 2: return 0xFEE0_0000 + low
        case 3, 4: return 0xB000_0000 + UInt64(random.below(32)) << 15 + low % (random.oneIn(4) ? 0x1000 : 0x100)
        default:
            let slot = UInt64(random.below(6)) * 0x8000
            let part = UInt64(random.below(8)) * 0x1000
            return barBase + slot + part + low % (random.oneIn(4) ? 0x1000 : 0x40)
        }
    }

    static let ports: [UInt16] = [
        0x20, 0x21, 0xA0, 0xA1, 0x4D0, 0x4D1, 0x40, 0x41, 0x42, 0x43, 0x61, 0x60, 0x64, 0x70, 0x71, 0x80, 0x3F8, 0x3F9,
        0x3FA, 0x3FB,
        0x3FC, 0x3FD, 0x3FE, 0x3FF, 0x510, 0x511, 0x514, 0x518, 0xCF8, 0xCFC, 0xCFD, 0xCFE, 0x600, 0x602, 0x608, 0x620,
        0x628, 0x402,
    ]
    /// Writing to these can end the machine.
    static let endingPorts: [UInt16] = [0x64, 0x92, 0xF4, 0xCF9, 0x604, 0xE9]
}
