import X86
import X86Decoder

extension Core {
    /// The x87 instructions that move state and compute nothing.
    func x87Control(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let encoding = plan.pointee.encoding
        switch (encoding.opcode, encoding.isMemory) {
        case (0x9B, _):
            let both = CR0.monitorCoprocessor | CR0.taskSwitched
            guard state.cr0 & both != both else { throw .deviceNotAvailable }
            try checkPendingX87()
        case (0xDB, _):
            switch encoding.modRM {
            case 0xE2: x87Status &= 0x7F00
            case 0xE3: initializeX87()
            default: break
            }
        case (0xDF, _):
            state[0] = state[0] & ~0xFFFF | UInt64(x87Status)
        case (0xD9, _):
            switch encoding.group {
            case 4: try loadEnvironment(i)
            case 5:
                try checkPendingX87()
                let value = try load(UInt16.self, try linearAddress(i, 2, write: false))
                x87Control = value & 0x1F7F | 0x40
                updateX87Summary()
            case 6: try storeEnvironment(i)
            default: try store(x87Control, try linearAddress(i, 2, write: true))
            }
        default:
            switch encoding.group {
            case 4: try restoreX87(i)
            case 6: try saveX87(i)
            default: try store(x87Status, try linearAddress(i, 2, write: true))
            }
        }
    }

    /// FNSTENV: 14 or 28 bytes (SDM 1 figures 8-9 to 8-12); then every exception is masked.
    private func storeEnvironment(_ i: Instruction) throws(Fault) {
        let count = environmentByteCount(i)
        let linear = try linearAddress(i, count, write: true)
        try probeX87(linear, count, i, write: true)
        packEnvironment(i)
        try storeBytes(linear, from: raw + VectorScratch.operand, count)
        x87Control |= 0x3F
        updateX87Summary()
    }

    private func loadEnvironment(_ i: Instruction) throws(Fault) {
        try checkPendingX87()
        let count = environmentByteCount(i)
        let linear = try linearAddress(i, count, write: false)
        try probeX87(linear, count, i, write: false)
        try loadBytes(linear, into: raw + VectorScratch.operand, count)
        unpackEnvironment(i)
    }

    /// FNSAVE: the environment and ST0...ST7, ten bytes each; then FNINIT.
    private func saveX87(_ i: Instruction) throws(Fault) {
        let header = environmentByteCount(i)
        let linear = try linearAddress(i, header + 80, write: true)
        try probeX87(linear, header + 80, i, write: true)
        packEnvironment(i)
        for index in 0..<8 {
            let target = raw + VectorScratch.operand + header + index * 10
            target.copyMemory(from: raw + VectorRegister.x87(index), byteCount: 10)
        }
        try storeBytes(linear, from: raw + VectorScratch.operand, header + 80)
        initializeX87()
    }

    private func restoreX87(_ i: Instruction) throws(Fault) {
        try checkPendingX87()
        let header = environmentByteCount(i)
        let linear = try linearAddress(i, header + 80, write: false)
        try probeX87(linear, header + 80, i, write: false)
        try loadBytes(linear, into: raw + VectorScratch.operand, header + 80)
        unpackEnvironment(i)
        for index in 0..<8 {
            let target = raw + VectorRegister.x87(index)
            target.copyMemory(from: raw + VectorScratch.operand + header + index * 10, byteCount: 10)
        }
    }

    /// Proves that an image of `byteCount` bytes can be accessed: Intel's CPUs try the control word's field first, then the last byte.
    private func probeX87(_ linear: UInt64, _ byteCount: Int, _ i: Instruction, write: Bool) throws(Fault) {
        let last = wrapLinear(linear &+ UInt64(byteCount &- 1))
        if write {
            try checkWritable(linear, isShortEnvironment(i) ? 2 : 4, rules: ruleTable)
            try checkWritable(last, 1, rules: ruleTable)
        } else {
            if isShortEnvironment(i) {
                _ = try load(UInt16.self, linear)
            } else {
                _ = try load(UInt32.self, linear)
            }
            _ = try load(UInt8.self, last)
        }
    }

    private func environmentByteCount(_ i: Instruction) -> Int { isShortEnvironment(i) ? 14 : 28 }

    /// The operand is 14 or 94 bytes wide with a 16-bit operand size, 28 or 108 with any other.
    private func isShortEnvironment(_ i: Instruction) -> Bool {
        i.pointee.memoryByteCount == 14 || i.pointee.memoryByteCount == 94
    }

    /// Writes the environment to the operand buffer.
    private func packEnvironment(_ i: Instruction) {
        let s = state
        let base = VectorScratch.operand
        let isShort = isShortEnvironment(i)
        let step = isShort ? 2 : 4
        func put(_ index: Int, _ value: UInt32) {
            if isShort {
                raw.storeBytes(
                    of: UInt16(truncatingIfNeeded: value),
                    toByteOffset: base + index * step,
                    as: UInt16.self
                )
            } else {
                s[dword: base + index * step] = value
            }
        }
        // Reserved upper halves are all ones.
        let fill: UInt32 = 0xFFFF_0000
        put(0, UInt32(x87Control) | fill)
        put(1, UInt32(x87Status) | fill)
        put(2, UInt32(fullTags()) | fill)
        let instruction = UInt32(truncatingIfNeeded: x87InstructionPointer)
        let data = UInt32(truncatingIfNeeded: x87DataPointer)
        let opcode = UInt32(x87Opcode & 0x7FF)
        if s.mode.isRealLike {
            if isShort {
                put(3, instruction)
                put(4, (instruction >> 16 & 15) << 12 | opcode)
                put(5, data)
                put(6, (data >> 16 & 15) << 12)
            } else {
                put(3, instruction & 0xFFFF | fill)
                put(4, (instruction >> 16) << 12 | opcode)
                put(5, data & 0xFFFF | fill)
                put(6, (data >> 16) << 12)
            }
        } else {
            put(3, instruction)
            put(4, isShort ? 0 : opcode << 16)
            put(5, data)
            put(6, isShort ? 0 : fill)
        }
    }

    private func unpackEnvironment(_ i: Instruction) {
        let s = state
        let base = VectorScratch.operand
        let isShort = isShortEnvironment(i)
        func field(_ index: Int) -> UInt32 {
            isShort
                ? UInt32(raw.load(fromByteOffset: base + index * 2, as: UInt16.self)) : s[dword: base + index * 4]
        }
        x87Control = UInt16(truncatingIfNeeded: field(0)) & 0x1F7F | 0x40
        let status = UInt16(truncatingIfNeeded: field(1))
        turnX87(top: Int(status >> 11 & 7))
        x87Status = status
        let tags = UInt16(truncatingIfNeeded: field(2))
        x87Tags = (0..<8).reduce(0) { $0 | (tags >> UInt16($1 * 2) & 3 == 3 ? 0 : 1 << UInt16($1)) }
        if s.mode.isRealLike {
            x87InstructionPointer = UInt64(field(3) & 0xFFFF | (field(4) >> 12) << 16)
            x87DataPointer = UInt64(field(5) & 0xFFFF | (field(6) >> 12) << 16)
            x87Opcode = UInt16(field(4) & 0x7FF)
        } else {
            x87InstructionPointer = UInt64(field(3))
            x87DataPointer = UInt64(field(5))
            x87Opcode = isShort ? 0 : UInt16(field(4) >> 16 & 0x7FF)
        }
        updateX87Summary()
    }

    /// The full tag word: two bits for each physical register, made from its contents (SDM 1 §8.1.7).
    private func fullTags() -> UInt16 {
        var tags: UInt16 = 0
        let valid = x87Tags
        let top = x87Top
        for physical in 0..<8 {
            let tag: UInt16
            if valid >> UInt16(physical) & 1 == 0 {
                tag = 3
            } else {
                let place = VectorRegister.x87((physical - top) & 7)
                let significand = state[field: place]
                let exponent = raw.load(fromByteOffset: place + 8, as: UInt16.self) & 0x7FFF
                if exponent == 0 {
                    tag = significand == 0 ? 1 : 2
                } else {
                    tag = exponent == 0x7FFF || significand >> 63 == 0 ? 2 : 0
                }
            }
            tags |= tag << UInt16(physical * 2)
        }
        return tags
    }
}
