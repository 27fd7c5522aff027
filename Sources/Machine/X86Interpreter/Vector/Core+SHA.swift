import X86
import X86Decoder

// The SHA extensions in software (SDM 2B "SHA1RNDS4" to "SHA256RNDS2"), since many hosts lack them. Lane 3 of a vector is its
// most significant doubleword.
extension Core {
    func sha(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let encoding = plan.pointee.encoding
        let number = Int(encoding.reg)
        var source = low(Int(encoding.rm))
        if encoding.isMemory { source = try load128(try vectorAddress(i, plan)) }
        let a = SHA.lanes(low(number))
        let b = SHA.lanes(source)
        let result =
            switch (encoding.map, encoding.opcode) {
            case (.map0F3A, _): SHA.rounds1(a, b, function: encoding.immediate & 3)
            case (_, 0xC8): SHA.nextE(a, b)
            case (_, 0xC9): SIMD4(b[2] ^ a[0], b[3] ^ a[1], a[0] ^ a[2], a[1] ^ a[3])
            case (_, 0xCA): SHA.message1(a, b)
            case (_, 0xCB): SHA.rounds256(a, b, SHA.lanes(low(0)))
            case (_, 0xCC): SHA.message256First(a, b)
            default: SHA.message256Second(a, b)
            }
        setLow(number, SHA.half(result))
    }
}

/// The functions of FIPS 180-4, as the instructions group them.
enum SHA {
    typealias Lanes = SIMD4<UInt32>

    static func lanes(_ value: VectorHalf) -> Lanes {
        Lanes(
            UInt32(truncatingIfNeeded: value[0]),
            UInt32(truncatingIfNeeded: value[0] >> 32),
            UInt32(truncatingIfNeeded: value[1]),
            UInt32(truncatingIfNeeded: value[1] >> 32)
        )
    }

    static func half(_ lanes: Lanes) -> VectorHalf {
        VectorHalf(UInt64(lanes[0]) | UInt64(lanes[1]) << 32, UInt64(lanes[2]) | UInt64(lanes[3]) << 32)
    }

    private static func left(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
    private static func right(_ value: UInt32, _ count: UInt32) -> UInt32 { value >> count | value << (32 - count) }

    static func nextE(_ a: Lanes, _ b: Lanes) -> Lanes {
        var result = b
        result[3] = b[3] &+ left(a[3], 30)
        return result
    }

    static func message1(_ a: Lanes, _ b: Lanes) -> Lanes {
        let w16 = left(a[3] ^ b[2], 1)
        return Lanes(left(a[0] ^ w16, 1), left(a[1] ^ b[0], 1), left(a[2] ^ b[1], 1), w16)
    }

    static func rounds1(_ state: Lanes, _ words: Lanes, function: UInt8) -> Lanes {
        var (a, b, c, d, e) = (state[3], state[2], state[1], state[0], 0 as UInt32)
        for round in 0..<4 {
            let mixed: UInt32
            let constant: UInt32
            switch function {
            case 0: (mixed, constant) = ((b & c) ^ (~b & d), 0x5A82_7999)
            case 1: (mixed, constant) = (b ^ c ^ d, 0x6ED9_EBA1)
            case 2: (mixed, constant) = ((b & c) ^ (b & d) ^ (c & d), 0x8F1B_BCDC)
            default: (mixed, constant) = (b ^ c ^ d, 0xCA62_C1D6)
            }
            // The first word already holds E.
            let next = mixed &+ left(a, 5) &+ words[3 - round] &+ e &+ constant
            (a, b, c, d, e) = (next, a, left(b, 30), c, d)
        }
        return Lanes(d, c, b, a)
    }

    static func rounds256(_ first: Lanes, _ second: Lanes, _ words: Lanes) -> Lanes {
        var (a, b, e, f) = (second[3], second[2], second[1], second[0])
        var (c, d, g, h) = (first[3], first[2], first[1], first[0])
        for round in 0..<2 {
            let choice = (e & f) ^ (~e & g)
            let majority = (a & b) ^ (a & c) ^ (b & c)
            let sum1 = right(e, 6) ^ right(e, 11) ^ right(e, 25)
            let sum0 = right(a, 2) ^ right(a, 13) ^ right(a, 22)
            let first = choice &+ sum1 &+ words[round] &+ h
            (a, b, c, d, e, f, g, h) = (first &+ majority &+ sum0, a, b, c, first &+ d, e, f, g)
        }
        return Lanes(f, e, b, a)
    }

    private static func small0(_ value: UInt32) -> UInt32 { right(value, 7) ^ right(value, 18) ^ value >> 3 }
    private static func small1(_ value: UInt32) -> UInt32 { right(value, 17) ^ right(value, 19) ^ value >> 10 }

    static func message256First(_ a: Lanes, _ b: Lanes) -> Lanes {
        Lanes(a[0] &+ small0(a[1]), a[1] &+ small0(a[2]), a[2] &+ small0(a[3]), a[3] &+ small0(b[0]))
    }

    static func message256Second(_ a: Lanes, _ b: Lanes) -> Lanes {
        let w16 = a[0] &+ small1(b[2])
        let w17 = a[1] &+ small1(b[3])
        return Lanes(w16, w17, a[2] &+ small1(w16), a[3] &+ small1(w17))
    }
}
