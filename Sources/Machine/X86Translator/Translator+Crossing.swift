import HostCode
import X86
import X86Interpreter

extension TranslatorLayout {
    /// Where code goes on whose memory operand was gathered, and the operand's host address.
    static let crossingResume = 0xC30
    static let crossingAddress = 0xC38
    /// 128 bytes, 64-byte aligned.
    static let crossingBytes = 0xC40
}

extension Translator {
    /// Gathers the operand of a read that crosses pages, so that the instruction finds it in one piece.
    ///
    /// The copy lies as the operand does modulo 64, for the host's own alignment checks.
    ///
    /// - Returns: Where it lies now; nil unless both pages are memory that may be read.
    func gather(_ linear: UInt64, _ byteCount: Int) -> UnsafeMutableRawPointer? {
        let second = (linear | 0xFFF) &+ 1
        let firstCount = Int(second &- linear)
        guard byteCount <= 64, let low = readable(linear), let high = readable(second) else { return nil }
        let offset = TranslatorLayout.crossingBytes + Int(linear & 63)
        let target = block + offset
        target.copyMemory(from: low, byteCount: firstCount)
        (target + firstCount).copyMemory(from: high, byteCount: byteCount - firstCount)
        return target
    }

    /// Lets the stub `crossing` go on behind the check of the access at `site`, whose operand is at `operand` this once.
    func resumeBehindCheck(of site: Site, operandAt operand: UnsafeMutableRawPointer) {
        let s = state
        s[field: TranslatorLayout.crossingAddress] = UInt64(UInt(bitPattern: operand))
        s[field: TranslatorLayout.crossingResume] =
            UInt64(UInt(bitPattern: store.code.executableBase)) + UInt64(site.resume) + UInt64(site.operation)
    }

    /// The host address of `linear`, if it is memory that may be read.
    private func readable(_ linear: UInt64) -> UnsafeRawPointer? {
        let table = interpreter.currentTable
        let entry = block + TranslatorLayout.tlb(table, 0) + TLB.slot(linear) &* 8
        if entry.load(fromByteOffset: TLB.readTag, as: UInt64.self) &+ (linear & ~0xFFF) != 0 {
            guard interpreter.fill(linear, write: false) else { return nil }
        }
        return UnsafeRawPointer(bitPattern: UInt(linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self)))
    }
}
