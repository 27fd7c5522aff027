import HostCode
import X86
import X86Decoder

extension Core {
    /// Runs an instruction with MM registers: x87 becomes MMX state, with TOP 0 and every register valid (SDM 3A §12.2).
    func runMMX(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let traits = plan.pointee.traits
        var linear: UInt64 = 0
        // Where a store faults TOP has already become 0 on Intel's CPUs, and the tags are as they were; a load changes nothing.
        if traits.contains(.writesMemory) { clearTop() }
        if plan.pointee.byteCount != 0 {
            linear = try vectorAddress(i, plan)
            if traits.contains(.readsMemory) {
                try loadBytes(linear, into: raw + VectorScratch.operand, plan.pointee.byteCount)
            }
            if traits.contains(.writesMemory) { try checkWritable(linear, plan.pointee.byteCount, rules: ruleTable) }
        }
        // CVTPI2PD from memory touches no MM register.
        let encoding = plan.pointee.encoding
        if !(encoding.key == 0x112A && encoding.isMemory) { enterMMX() }
        if traits.contains(.simd) {
            try callSIMD(plan.pointee.code)
        } else {
            plan.pointee.code.call(raw)
        }
        if traits.contains(.writesMemory), plan.pointee.byteCount != 0 {
            try storeBytes(linear, from: raw + VectorScratch.operand, plan.pointee.byteCount)
        }
    }

    /// TOP becomes 0 and every register valid.
    ///
    /// The area holds registers in stack order, so they turn with TOP.
    func enterMMX() {
        clearTop()
        x87Tags = 0xFF
    }

    private func clearTop() {
        turnX87(top: 0)
        x87Status &= ~0x3800
    }

    /// EMMS: every register empty.
    func emptyMMX() {
        clearTop()
        x87Tags = 0
    }
}
