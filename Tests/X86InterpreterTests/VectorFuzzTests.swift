import HostCode
import Testing
import X86
import X86Decoder

@testable import X86Interpreter

/// Random encodings of every vector opcode, against the host's own CPU.
@Suite(.serialized) struct VectorFuzzTests {
    /// Records the first ten differences.
    private func expectAgreement(_ rig: VectorRig, _ count: Int, _ make: (VectorRig) -> [UInt8]?) {
        var differences: [String] = []
        var compared = 0
        for _ in 0..<count {
            guard let bytes = make(rig) else { continue }
            compared += 1
            if let difference = rig.compare(bytes) {
                let row = rig.decode(bytes).map { OpcodeTable.row($0.row) }
                let text = bytes.map { String($0, radix: 16) }.joined(separator: " ")
                differences.append("\(row?.mnemonic.description ?? "?") [\(text)] \(difference)")
                if differences.count == 40 { break }
            }
        }
        #expect(differences.isEmpty, Comment(rawValue: differences.joined(separator: "\n")))
        #expect(compared > count / 100)
    }

    /// ModRM for a register, or [RDI + disp8]; then an immediate if the decoder wants one.
    private func finish(_ rig: VectorRig, _ start: [UInt8]) -> [UInt8]? {
        var bytes = start
        if rig.next() & 1 == 0 {
            bytes.append(0xC0 | UInt8(rig.next() & 63))
        } else {
            bytes.append(0x47 | UInt8(rig.next() & 7) << 3)
            bytes.append(rig.next() % 4 == 0 ? UInt8(rig.next() & 63) : UInt8(rig.next() & 1) * 32)
        }
        bytes += [UInt8(truncatingIfNeeded: rig.next())]
        guard let instruction = rig.decode(bytes) ?? nil else { return nil }
        let row = OpcodeTable.row(instruction.row)
        guard instruction.operation.rawValue >= Operation.firstVector,
            HostProcessor.vectorFeatures.contains(row.feature) || [.xsave, .cmov].contains(row.feature),
            instruction.prefixes.isDisjoint(with: .lock)
        else { return nil }
        return Array(bytes.prefix(Int(instruction.length)))
    }

    private func legacy(_ rig: VectorRig, map: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        switch rig.next() & 3 {
        case 0: bytes.append(0x66)
        case 1: bytes.append(0xF3)
        case 2: bytes.append(0xF2)
        default: break
        }
        if rig.next() & 1 == 0 {
            // REX without B for memory: the base is RDI.
            bytes.append(0x40 | UInt8(rig.next() & 12))
        }
        let opcode = UInt8(truncatingIfNeeded: rig.next())
        bytes += map == 0 ? [0x0F] : map == 1 ? [0x0F, 0x38] : [0x0F, 0x3A]
        // State management and stores to RDI have their own tests.
        if map == 0, [0xAE, 0xC7, 0x01, 0xF7].contains(opcode) { return nil }
        return finish(rig, bytes + [opcode])
    }

    private func vex(_ rig: VectorRig, map: Int) -> [UInt8]? {
        let opcode = UInt8(truncatingIfNeeded: rig.next())
        if map == 1, [0xAE, 0xF7].contains(opcode) { return nil }
        if map == 2, 0x90...0x93 ~= opcode { return nil }
        let second = UInt8(rig.next() & 0x80) | 0x60 | UInt8(map)
        return finish(rig, [0xC4, second, UInt8(truncatingIfNeeded: rig.next()), opcode])
    }

    @Test(arguments: [0, 1, 2]) func `Legacy SSE and MMX agree with the host`(map: Int) throws {
        let rig = try VectorRig(seed: UInt64(map) + 10)
        expectAgreement(rig, 6000) { rig in
            rig.randomize()
            if rig.next() & 3 == 0 { rig.randomizeX87() }
            return legacy(rig, map: map)
        }
    }

    @Test(arguments: [1, 2, 3]) func `AVX, AVX2, FMA and F16C agree with the host`(map: Int) throws {
        let rig = try VectorRig(seed: UInt64(map) + 20)
        expectAgreement(rig, 6000) { rig in
            rig.randomize()
            return vex(rig, map: map)
        }
    }

    @Test func `Unmasked SIMD exceptions agree with the host`() throws {
        let rig = try VectorRig(seed: 31)
        expectAgreement(rig, 6000) { rig in
            rig.randomize()
            rig.state.mxcsr = UInt32(truncatingIfNeeded: rig.next() & 0xFFC0)
            return rig.next() & 1 == 0 ? legacy(rig, map: 0) : vex(rig, map: Int(1 + rig.next() % 2))
        }
    }

    @Test func `x87 agrees with the host`() throws {
        let rig = try VectorRig(seed: 41)
        expectAgreement(rig, 6000) { rig in
            rig.randomize()
            rig.randomizeX87(masks: rig.next() % 4 == 0 ? UInt16(rig.next() & 63) : 0x3F)
            let opcode = 0xD8 | UInt8(rig.next() & 7)
            guard let bytes = finish(rig, [opcode]) else { return nil }
            // FNSTENV and FNSAVE store the host's pointers; FLDENV and FRSTOR make anything pending.
            if bytes[1] < 0xC0, [0xD9, 0xDD].contains(opcode), [4, 6].contains(bytes[1] >> 3 & 7) { return nil }
            return bytes
        }
    }

    @Test func `Gathers agree with the host`() throws {
        let rig = try VectorRig(seed: 51)
        expectAgreement(rig, 2000) { rig in
            rig.randomize(smallIntegers: true)
            let index = UInt8(rig.next() & 7)
            let mask = Int(rig.next() & 7)
            for at in stride(from: 0, to: 16, by: 4) {
                rig.area.storeBytes(
                    of: UInt32(truncatingIfNeeded: rig.next()),
                    toByteOffset: 160 + mask * 16 + at,
                    as: UInt32.self
                )
                rig.area.storeBytes(
                    of: UInt32(truncatingIfNeeded: rig.next()),
                    toByteOffset: 576 + mask * 16 + at,
                    as: UInt32.self
                )
            }
            if mask == Int(index) { return nil }
            let opcode = 0x90 | UInt8(rig.next() & 3)
            // Quadword indexes stay small too.
            for at in stride(from: 4, to: 16, by: 8) where opcode & 1 != 0 {
                rig.area.storeBytes(of: 0, toByteOffset: 160 + Int(index) * 16 + at, as: UInt32.self)
                rig.area.storeBytes(of: 0, toByteOffset: 576 + Int(index) * 16 + at, as: UInt32.self)
            }
            let third = UInt8(rig.next() & 0x84) | UInt8(~mask & 15) << 3 | 1
            return [
                0xC4, 0xE2, third, opcode, 0x04 | UInt8(rig.next() & 7) << 3,
                UInt8(rig.next() & 3) << 6 | index << 3 | 7,
            ]
        }
    }
}
