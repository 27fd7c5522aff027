import X86
import X86Decoder

/// Makes the cases of the oracle: code, registers and memory, each case from its seed and number alone.
///
/// The registers are made in the ``NativeExecutor``'s state, the data in ``image``.
final class OracleGenerator {
    /// The code of the case, and its instructions with their offsets in it.
    private(set) var bytes: [UInt8] = []
    private(set) var instructions: [(offset: Int, instruction: DecodedInstruction)] = []
    /// Flags that the case leaves undefined.
    private(set) var undefinedFlags: UInt64 = 0
    /// What both sides start with in their data.
    let image = UnsafeMutableRawPointer.allocate(byteCount: OracleGuest.dataByteCount, alignment: 64)

    let state: NativeState
    let dataAddress: UInt64
    let codeAddress: UInt64
    /// What a GS override adds.
    static let gsBase: UInt64 = 0x1_2340
    let singles: [UInt16]
    let sequenced: [UInt16]
    private let data = OracleData()
    private var encoder = OracleEncoder()
    var random = OracleRandom(seed: 0, number: 0)
    /// General registers that hold an address and must keep it, a bit each.
    private(set) var pinned: UInt16 = 0

    var codeStart: UInt64 { codeAddress + UInt64(NativeExecutor.codeOffset) }
    var endAddress: UInt64 { codeStart + UInt64(bytes.count) }

    init(native: NativeExecutor, rows: [UInt16], usesGS: Bool) {
        state = native.state
        dataAddress = native.memoryAddress
        codeAddress = native.codeWindowAddress
        singles = rows
        sequenced = rows.filter { !OracleScope.isAlone(OpcodeTable.row($0)) }
        encoder.usesGS = usesGS
    }

    /// Makes case `number`: of four, one is a sequence, and three are single instructions of each row in turn.
    ///
    /// - Returns: Whether an encoding was found.
    func make(seed: UInt64, number: UInt64) -> Bool {
        random = OracleRandom(seed: seed, number: number)
        bytes.removeAll(keepingCapacity: true)
        instructions.removeAll(keepingCapacity: true)
        undefinedFlags = 0
        pinned = 0
        let isSequence = number & 3 == 3
        let turn = number >> 2 &* 3 &+ number & 3
        let row = isSequence ? 0 : singles[Int(turn % UInt64(singles.count))]
        fillRegisters()
        if isSequence { return makeSequence() }
        guard append(row, base: nil) else { return false }
        return place(0)
    }

    private func makeSequence() -> Bool {
        let count = 2 + random.below(5)
        let base: UInt8 = [0, 1, 2, 3, 5, 6, 7][random.below(7)]
        state[Int(base)] = dataAddress + 0x800 + UInt64(random.below(0x1000))
        pinned = 1 << UInt16(base)
        if random.chance(percent: 60) { state[1] = UInt64(random.below(12)) }
        if pinned & 2 != 0 { state[1] = dataAddress + 0x900 }
        // Neighbours in the table are of one kind, so that they depend on each other more often.
        let neighbourhood = random.below(sequenced.count)
        for _ in 0..<count * 3 where instructions.count < count {
            let near = random.chance(percent: 50)
            let place = near ? (neighbourhood + random.below(24)) % sequenced.count : random.below(sequenced.count)
            let before = bytes.count
            guard append(sequenced[place], base: base) else { continue }
            let (_, instruction) = instructions[instructions.count - 1]
            let row = OpcodeTable.row(instruction.row)
            let writes = Self.writtenRegisters(instruction, row)
            let reads = UInt64(row.flagsRead) & earlierUndefined
            if writes & pinned != 0 || reads != 0 {
                bytes.removeSubrange(before...)
                instructions.removeLast()
                undefinedFlags = earlierUndefined
                continue
            }
        }
        guard instructions.count > 1 else { return false }
        if random.chance(percent: 20) { appendLoop() }
        return true
    }
    /// What was undefined before the last instruction.
    private var earlierUndefined: UInt64 = 0

    /// A branch at the sequence's end: LOOP to its start, or a conditional jump.
    private func appendLoop() {
        let isLoop = random.next() & 1 == 0 && pinned & 2 == 0
        let opcode: UInt8 = isLoop ? 0xE0 + UInt8(random.below(3)) : 0x70 + UInt8(random.below(16))
        let condition = OracleGenerator.conditionFlags(opcode)
        guard condition & undefinedFlags == 0, bytes.count < 120 else { return }
        let displacement = isLoop ? UInt8(truncatingIfNeeded: -(bytes.count + 2)) : 0x30
        let code = [opcode, displacement]
        var instruction = DecodedInstruction()
        let padded = code + [UInt8](repeating: 0, count: 14)
        guard
            padded.withUnsafeBufferPointer({
                InstructionDecoder.decode(
                    $0.baseAddress.unsafelyUnwrapped,
                    count: 15,
                    size: .bits64,
                    into: &instruction
                )
            }) == .complete
        else { return }
        instructions.append((bytes.count, instruction))
        bytes += code
    }

    private static func conditionFlags(_ opcode: UInt8) -> UInt64 {
        switch opcode {
        case 0xE2: 0
        case 0xE0, 0xE1: RFlags.zf
        default: RFlags.arithmetic
        }
    }

    /// The general registers that an instruction writes, as far as its row tells.
    static func writtenRegisters(_ i: DecodedInstruction, _ row: OpcodeRow) -> UInt16 {
        var set = row.implicitWritten
        func add(_ operand: Operand, _ access: OperandAccess) {
            guard access == .write || access == .readWrite else { return }
            if operand.kind == .general { set |= 1 << UInt16(operand.number) }
            if operand.kind == .highByte { set |= 1 << UInt16(operand.number & 3) }
        }
        add(i.operands.0, row.access.0)
        add(i.operands.1, row.access.1)
        add(i.operands.2, row.access.2)
        add(i.operands.3, row.access.3)
        switch i.operation {
        case .cmpxchg, .mul, .imul, .div, .idiv, .cmpxchg8b, .cmpxchg16b, .xlat, .lahf, .fnstsw: set |= 5
        case .pcmpestri, .pcmpistri, .vpcmpestri, .vpcmpistri: set |= 2
        default: break
        }
        return set
    }

    private func append(_ row: UInt16, base: UInt8?) -> Bool {
        guard let (instruction, code) = encoder.encode(row, base: base, &random) else { return false }
        earlierUndefined = undefinedFlags
        instructions.append((bytes.count, instruction))
        bytes += code
        undefinedFlags |= UInt64(OpcodeTable.row(row).flagsUndefined)
        return true
    }

    /// Puts `value`, little-endian, over `byteCount` code bytes at `offset` of the case's code, and decodes again.
    func patch(_ index: Int, at offset: Int, _ value: UInt64, byteCount: Int) {
        for byte in 0..<byteCount where offset + byte < bytes.count {
            bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))
        }
        let padded = Array(bytes[instructions[index].offset...]) + [UInt8](repeating: 0, count: 16)
        padded.withUnsafeBufferPointer {
            _ = InstructionDecoder.decode(
                $0.baseAddress.unsafelyUnwrapped,
                count: 15,
                size: .bits64,
                into: &instructions[index].instruction
            )
        }
    }

    /// The case has a masked move, whose page fault may tell any address of its elements in the page.
    var movesMasked: Bool {
        instructions.contains {
            switch $0.instruction.operation {
            case .vmaskmovps, .vmaskmovpd, .vpmaskmovd, .vpmaskmovq, .maskmovq, .maskmovdqu, .vmaskmovdqu: true
            default: false
            }
        }
    }

    // MARK: State

    private func fillRegisters() {
        for index in 0..<16 { state[index] = random.integer() }
        for index in [4, 5, 6, 7] { state[index] = dataAddress + 0x400 + UInt64(random.below(0x300)) * 8 }
        if random.chance(percent: 20) { state[4] += UInt64(random.below(8)) }
        state.rflags = random.next() & (RFlags.arithmetic | (random.chance(percent: 25) ? RFlags.df : 0))
        fill(image, OracleGuest.dataByteCount)
        let area = state.xsaveArea
        area.initializeMemory(as: UInt8.self, repeating: 0, count: 832)
        fill(area + 160, 256)
        fill(area + 576, 256)
        fillX87(area)
        var mxcsr: UInt32 = 0x1F80
        if random.chance(percent: 50) { mxcsr |= UInt32(truncatingIfNeeded: random.next()) & 0xE040 }
        if random.chance(percent: 20) { mxcsr |= UInt32(truncatingIfNeeded: random.next()) & 0x3F }
        if random.chance(percent: 10) { mxcsr &= ~(UInt32(truncatingIfNeeded: random.next()) & 0x1F80) }
        state.mxcsr = mxcsr
    }

    private func fill(_ target: UnsafeMutableRawPointer, _ count: Int) {
        let offset = random.below(OracleData.byteCount / 4) * 4
        target.copyMemory(from: data.bytes + offset % OracleData.byteCount, byteCount: count)
    }

    private func fillX87(_ area: UnsafeMutableRawPointer) {
        for index in 0..<8 {
            (area + 32 + index * 16).copyMemory(from: data.extended + random.below(256) * 16, byteCount: 16)
        }
        let bits = random.next()
        var control: UInt16 = 0x37F
        if bits & 1 != 0 {
            control =
                0x7F | UInt16(truncatingIfNeeded: bits >> 8) & 0xC00 | [0, 0x200, 0x300, 0x300][Int(bits >> 20 & 3)]
        }
        if bits & 0x70 == 0 { control &= ~(UInt16(truncatingIfNeeded: bits >> 32) & 0x3F) }
        var status = UInt16(truncatingIfNeeded: bits >> 40) & 0x7F00
        // Sticky flags of masked exceptions; rarely, a pending unmasked one.
        if bits & 0x700 == 0 { status |= UInt16(truncatingIfNeeded: bits >> 56) & 0x7F }
        if status & 0x3F & ~control != 0 {
            if bits & 0x3800 == 0 { status |= 0x8080 } else { status &= ~0x3F | control & 0x3F }
        }
        let tags: UInt16 =
            bits & 0xC000 == 0 ? UInt16(truncatingIfNeeded: bits >> 48) & 0xFF : bits & 0x1_0000 == 0 ? 0xFF : 0
        area.storeBytes(of: control, as: UInt16.self)
        area.storeBytes(of: status, toByteOffset: 2, as: UInt16.self)
        area.storeBytes(of: tags, toByteOffset: 4, as: UInt16.self)
        area.storeBytes(of: UInt16(truncatingIfNeeded: random.next()) & 0x7FF, toByteOffset: 6, as: UInt16.self)
        // Instruction and data pointer: canonical addresses.
        for offset in [8, 16] {
            let pointer = Int64(bitPattern: random.next()) >> 16
            area.storeBytes(
                of: random.chance(percent: 50) ? pointer : pointer & 0xFFFF_FFFF,
                toByteOffset: offset,
                as: Int64.self
            )
        }
    }

    // MARK: Memory

    func storeData<T: FixedWidthInteger>(_ value: T, at address: UInt64) {
        let offset = Int(truncatingIfNeeded: address &- dataAddress)
        guard offset >= 0, offset <= OracleGuest.dataByteCount - MemoryLayout<T>.size else { return }
        image.storeBytes(of: value, toByteOffset: offset, as: T.self)
    }

    func setVectorRegister(_ number: Int, _ at: Int, _ value: UInt64) {
        let offset = at < 16 ? 160 + number * 16 + at : 576 + number * 16 + at - 16
        state.xsaveArea.storeBytes(of: value, toByteOffset: offset, as: UInt64.self)
    }
}
