import Testing
import X86

@testable import X86Interpreter

/// The SHA extensions against FIPS 180-4 written down round by round: many hosts lack them, so the oracle cannot compare them.
@Suite(.serialized) struct SHATests {
    /// Runs an instruction on XMM1, XMM2 and XMM0; XMM1 afterwards.
    private func run(
        _ rig: VectorRig,
        _ bytes: [UInt8],
        _ a: SHA.Lanes,
        _ b: SHA.Lanes,
        _ zero: SHA.Lanes = SHA.Lanes()
    ) -> SHA.Lanes {
        rig.core.setLow(1, SHA.half(a))
        rig.core.setLow(2, SHA.half(b))
        rig.core.setLow(0, SHA.half(zero))
        #expect(rig.interpret(bytes) == nil)
        return SHA.lanes(rig.core.low(1))
    }

    /// The message in blocks of sixteen words, padded (FIPS 180-4 §5.1.1).
    private func blocks(_ message: [UInt8]) -> [[UInt32]] {
        var bytes = message + [0x80]
        while bytes.count % 64 != 56 { bytes.append(0) }
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: (UInt64(message.count) * 8) >> UInt64(56 - $0 * 8)) }
        return stride(from: 0, to: bytes.count, by: 64).map { start in
            (0..<16).map { word in
                (0..<4).reduce(0 as UInt32) { $0 << 8 | UInt32(bytes[start + word * 4 + $1]) }
            }
        }
    }

    private func left(_ value: UInt32, _ count: UInt32) -> UInt32 { value << count | value >> (32 - count) }
    private func right(_ value: UInt32, _ count: UInt32) -> UInt32 { left(value, 32 - count) }

    // MARK: SHA-1

    private func specified1(_ state: [UInt32], _ block: [UInt32]) -> [UInt32] {
        var words = block
        for t in 16..<80 { words.append(left(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1)) }
        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
        for t in 0..<80 {
            let (f, k): (UInt32, UInt32) =
                switch t {
                case ..<20: ((b & c) ^ (~b & d), 0x5A82_7999)
                case ..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                case ..<60: ((b & c) ^ (b & d) ^ (c & d), 0x8F1B_BCDC)
                default: (b ^ c ^ d, 0xCA62_C1D6)
                }
            (a, b, c, d, e) = (left(a, 5) &+ f &+ e &+ k &+ words[t], a, left(b, 30), c, d)
        }
        return zip(state, [a, b, c, d, e]).map { $0 &+ $1 }
    }

    private func executed1(_ rig: VectorRig, _ state: [UInt32], _ block: [UInt32]) -> [UInt32] {
        var words = (0..<4).map { SHA.Lanes(block[$0 * 4 + 3], block[$0 * 4 + 2], block[$0 * 4 + 1], block[$0 * 4]) }
        for at in 4..<20 {
            let first = run(rig, [0x0F, 0x38, 0xC9, 0xCA], words[at - 4], words[at - 3]) ^ words[at - 2]
            words.append(run(rig, [0x0F, 0x38, 0xCA, 0xCA], first, words[at - 1]))
        }
        let start = SHA.Lanes(state[3], state[2], state[1], state[0])
        var abcd = start
        var previous = start
        for at in 0..<20 {
            var e = words[at]
            if at == 0 {
                e[3] = e[3] &+ state[4]
            } else {
                e = run(rig, [0x0F, 0x38, 0xC8, 0xCA], previous, words[at])
            }
            previous = abcd
            abcd = run(rig, [0x0F, 0x3A, 0xCC, 0xCA, UInt8(at / 5)], abcd, e)
        }
        let last = run(rig, [0x0F, 0x38, 0xC8, 0xCA], previous, SHA.Lanes(0, 0, 0, state[4]))
        let sum = abcd &+ start
        return [sum[3], sum[2], sum[1], sum[0], last[3]]
    }

    // MARK: SHA-256

    private func specified256(_ state: [UInt32], _ block: [UInt32]) -> [UInt32] {
        var words = block
        for t in 16..<64 {
            let (x, y) = (words[t - 2], words[t - 15])
            let small1 = right(x, 17) ^ right(x, 19) ^ x >> 10
            let small0 = right(y, 7) ^ right(y, 18) ^ y >> 3
            words.append(small1 &+ words[t - 7] &+ small0 &+ words[t - 16])
        }
        var v = state
        for t in 0..<64 {
            let sum1 = right(v[4], 6) ^ right(v[4], 11) ^ right(v[4], 25)
            let choice = (v[4] & v[5]) ^ (~v[4] & v[6])
            let sum0 = right(v[0], 2) ^ right(v[0], 13) ^ right(v[0], 22)
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2])
            let first = v[7] &+ sum1 &+ choice &+ VectorStateTests.constants256[t] &+ words[t]
            v = [first &+ sum0 &+ majority, v[0], v[1], v[2], v[3] &+ first, v[4], v[5], v[6]]
        }
        return zip(state, v).map { $0 &+ $1 }
    }

    private func executed256(_ rig: VectorRig, _ state: [UInt32], _ block: [UInt32]) -> [UInt32] {
        var words = (0..<4).map { SHA.Lanes(block[$0 * 4], block[$0 * 4 + 1], block[$0 * 4 + 2], block[$0 * 4 + 3]) }
        for at in 4..<16 {
            let last = words[at - 1]
            let middle = SHA.Lanes(words[at - 2][1], words[at - 2][2], words[at - 2][3], last[0])
            let first = run(rig, [0x0F, 0x38, 0xCC, 0xCA], words[at - 4], words[at - 3]) &+ middle
            words.append(run(rig, [0x0F, 0x38, 0xCD, 0xCA], first, last))
        }
        let startABEF = SHA.Lanes(state[5], state[4], state[1], state[0])
        let startCDGH = SHA.Lanes(state[7], state[6], state[3], state[2])
        var (abef, cdgh) = (startABEF, startCDGH)
        let k = VectorStateTests.constants256
        for at in 0..<16 {
            let wk = words[at] &+ SHA.Lanes(k[at * 4], k[at * 4 + 1], k[at * 4 + 2], k[at * 4 + 3])
            cdgh = run(rig, [0x0F, 0x38, 0xCB, 0xCA], cdgh, abef, wk)
            abef = run(rig, [0x0F, 0x38, 0xCB, 0xCA], abef, cdgh, SHA.Lanes(wk[2], wk[3], 0, 0))
        }
        abef = abef &+ startABEF
        cdgh = cdgh &+ startCDGH
        return [abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]]
    }

    // MARK: Tests

    private static let start1: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
    private static let start256: [UInt32] = [
        0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19,
    ]

    /// The examples of FIPS 180: one block, two blocks, a thousand letters (its million, cut short), and nothing.
    @Test func `Messages of any length have the digests of the specification`() throws {
        let rig = try VectorRig(seed: 3)
        let two = Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)
        let random = (0..<777).map { _ in UInt8(truncatingIfNeeded: rig.next()) }
        let messages = [[], Array("abc".utf8), two, [UInt8](repeating: 0x61, count: 1000), random]
        var digests: [[UInt32]] = []
        for message in messages {
            let one = blocks(message).reduce(Self.start1) { executed1(rig, $0, $1) }
            let wide = blocks(message).reduce(Self.start256) { executed256(rig, $0, $1) }
            #expect(one == blocks(message).reduce(Self.start1) { specified1($0, $1) })
            #expect(wide == blocks(message).reduce(Self.start256) { specified256($0, $1) })
            digests += [one, wide]
        }
        // Published digests, so that the reference above is itself checked.
        #expect(digests[0] == [0xDA39_A3EE, 0x5E6B_4B0D, 0x3255_BFEF, 0x9560_1890, 0xAFD8_0709])
        #expect(digests[1][0] == 0xE3B0_C442)
        #expect(digests[1][7] == 0x7852_B855)
        #expect(digests[2] == [0xA999_3E36, 0x4706_816A, 0xBA3E_2571, 0x7850_C26C, 0x9CD0_D89D])
        #expect(digests[4] == [0x8498_3E44, 0x1C3B_D26E, 0xBAAE_4AA1, 0xF951_29E5, 0xE546_70F1])
        #expect(digests[5][0] == 0x248D_6A61)
        #expect(digests[5][7] == 0x19DB_06C1)
    }

    @Test func `Random blocks on random states agree with the specification`() throws {
        let rig = try VectorRig(seed: 4)
        var differences = 0
        for _ in 0..<200 {
            let block = (0..<16).map { _ in UInt32(truncatingIfNeeded: rig.next()) }
            let state = (0..<8).map { _ in UInt32(truncatingIfNeeded: rig.next()) }
            let short = Array(state.prefix(5))
            if executed1(rig, short, block) != specified1(short, block) { differences += 1 }
            if executed256(rig, state, block) != specified256(state, block) { differences += 1 }
        }
        #expect(differences == 0)
    }
}
