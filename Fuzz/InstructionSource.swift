import X86Decoder

/// Random instructions: rows of the decoder's table with random prefixes and operands, and plain random bytes.
enum InstructionSource {
    static func code(_ random: inout RandomSource, byteCount: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount + 16)
        let isWild = random.oneIn(8)
        while bytes.count < byteCount {
            if isWild || random.oneIn(16) { bytes.append(random.byte()) } else { append(to: &bytes, &random) }
        }
        return Array(bytes[..<byteCount])
    }

    private static func append(to bytes: inout [UInt8], _ random: inout RandomSource) {
        let row = OpcodeTable.row(UInt16(random.below(OpcodeTable.rowCount)))
        // Halting and hanging instructions would only take turns away from the others.
        if row.operation == .hlt, !random.oneIn(8) { return }
        if random.oneIn(6) { bytes.append(random.pick([0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65])) }
        if random.oneIn(4) { bytes.append(0x66) }
        if random.oneIn(8) { bytes.append(0x67) }
        if random.oneIn(4) { bytes.append(random.oneIn(2) ? 0xF2 : 0xF3) }
        if random.oneIn(16) { bytes.append(0xF0) }
        let vex: (UInt8) -> [UInt8] = { [byte = random.byte(), second = random.byte()] map in
            [0xC4, byte & 0xE0 | map, second]
        }
        switch row.map {
        case .vex0F: bytes += vex(1)
        case .vex0F38: bytes += vex(2)
        case .vex0F3A: bytes += vex(3)
        default:
            if random.oneIn(3) { bytes.append(0x40 | random.byte() & 15) }
            switch row.map {
            case .map0F: bytes.append(0x0F)
            case .map0F38: bytes += [0x0F, 0x38]
            case .map0F3A: bytes += [0x0F, 0x3A]
            default: break
            }
        }
        bytes.append(row.opcode)
        // What follows may be ModRM, SIB, displacement or immediate: small displacements keep accesses near.
        bytes.append(random.byte())
        switch random.below(4) {
        case 0: break
        case 1: bytes.append(random.byte())
        case 2: bytes += [random.byte(), random.byte() & 3, 0, 0]
        default: bytes += [random.byte(), random.byte(), random.byte() & 0x0F, 0]
        }
    }
}
