import X86
import X86Decoder

/// Half a YMM register.
typealias VectorHalf = SIMD2<UInt64>

extension Core {
    @inline(__always)
    func low(_ number: Int) -> VectorHalf { raw.load(fromByteOffset: VectorRegister.low(number), as: VectorHalf.self) }
    @inline(__always)
    func high(_ number: Int) -> VectorHalf {
        raw.load(fromByteOffset: VectorRegister.high(number), as: VectorHalf.self)
    }
    @inline(__always)
    func setLow(_ number: Int, _ value: VectorHalf) {
        raw.storeBytes(of: value, toByteOffset: VectorRegister.low(number), as: VectorHalf.self)
    }
    @inline(__always)
    func setHigh(_ number: Int, _ value: VectorHalf) {
        raw.storeBytes(of: value, toByteOffset: VectorRegister.high(number), as: VectorHalf.self)
    }

    /// Writes the destination: all of it with VEX, only its low half without.
    @inline(__always)
    func setVector(_ plan: UnsafePointer<VectorPlan>, _ lowHalf: VectorHalf, _ highHalf: VectorHalf) {
        let number = Int(plan.pointee.destination)
        setLow(number, lowHalf)
        if plan.pointee.traits.contains(.zeroesUpper) { setHigh(number, highHalf) }
    }

    @inline(__always)
    func vectorCopy(_ plan: UnsafePointer<VectorPlan>) {
        let source = Int(plan.pointee.source)
        setVector(plan, low(source), plan.pointee.byteCount == 32 ? high(source) : VectorHalf())
    }

    /// MOVDQU and its like from memory: 4, 8, 16 or 32 bytes, the rest of the destination zeroed.
    @inline(__always)
    func vectorLoad(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let linear = try vectorAddress(i, plan)
        switch plan.pointee.byteCount {
        case 16: setVector(plan, try load128(linear), VectorHalf())
        case 8: setVector(plan, VectorHalf(try load(UInt64.self, linear), 0), VectorHalf())
        case 4: setVector(plan, VectorHalf(UInt64(try load(UInt32.self, linear)), 0), VectorHalf())
        default:
            try loadBytes(linear, into: raw + VectorScratch.operand, 32)
            setVector(
                plan,
                raw.load(fromByteOffset: VectorScratch.operand, as: VectorHalf.self),
                raw.load(fromByteOffset: VectorScratch.operand + 16, as: VectorHalf.self)
            )
        }
    }

    @inline(__always)
    func vectorStore(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let linear = try vectorAddress(i, plan)
        let number = Int(plan.pointee.source)
        switch plan.pointee.byteCount {
        case 16: try store128(linear, low(number))
        case 8: try store(state[field: VectorRegister.low(number)], linear)
        case 4: try store(state[dword: VectorRegister.low(number)], linear)
        default:
            raw.storeBytes(of: low(number), toByteOffset: VectorScratch.operand, as: VectorHalf.self)
            raw.storeBytes(of: high(number), toByteOffset: VectorScratch.operand + 16, as: VectorHalf.self)
            try storeBytes(linear, from: raw + VectorScratch.operand, 32)
        }
    }

    @inline(__always)
    func load128(_ linear: UInt64) throws(Fault) -> VectorHalf {
        if linear & 0xFFF <= 4080, let source = hostReadPointer(linear) {
            return source.loadUnaligned(as: VectorHalf.self)
        }
        try loadBytes(linear, into: raw + VectorScratch.operand, 16)
        return raw.load(fromByteOffset: VectorScratch.operand, as: VectorHalf.self)
    }

    @inline(__always)
    func store128(_ linear: UInt64, _ value: VectorHalf) throws(Fault) {
        if linear & 0xFFF <= 4080, let target = hostWritePointer(linear) {
            return target.storeBytes(of: value, as: VectorHalf.self)
        }
        raw.storeBytes(of: value, toByteOffset: VectorScratch.operand, as: VectorHalf.self)
        try storeBytes(linear, from: raw + VectorScratch.operand, 16)
    }
}
