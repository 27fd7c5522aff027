import HostCode
import X86
import X86Decoder

extension Core {
    /// Finds or makes the plan of a vector or x87 instruction when its block is decoded.
    ///
    /// Overwrites ``DecodedInstruction/immediate`` with the plan's address: an immediate byte is inside its stub.
    func prepareVector(_ i: Instruction, bytes: UnsafePointer<UInt8>) {
        i.pointee.handler = QuickHandler.vector.rawValue
        let isLong = state.mode == .long64
        let instruction = i.pointee
        i.pointee.immediate = 0
        guard
            let encoding = VectorEncoding(
                bytes,
                length: Int(instruction.length),
                addressByteCount: instruction.addressByteCount,
                isLong: isLong
            )
        else { return }
        let key = VectorStubKey(
            encoding: encoding,
            row: instruction.row,
            memoryByteCount: instruction.memoryByteCount,
            isLong: isLong
        )
        let plan = services.vectorStubs.plan(key) { buffer in
            VectorPlanner(instruction: instruction, encoding: encoding, isLong: isLong).plan(buffer)
        }
        i.pointee.immediate = UInt64(UInt(bitPattern: plan))
    }

    /// Executes an instruction whose operation is ``Operation/firstVector`` or above.
    func executeVector(_ i: Instruction) throws(Fault) {
        // SAFETY: `prepareVector` stored the address of a plan that outlives the decoded block, or 0.
        guard let plan = UnsafePointer<VectorPlan>(bitPattern: UInt(i.pointee.immediate)) else { throw .invalidOpcode }
        try checkGate(plan.pointee.gate)
        switch plan.pointee.kind {
        case .undefined: throw .invalidOpcode
        case .stub: try runStub(i, plan)
        case .load: try vectorLoad(i, plan)
        case .store: try vectorStore(i, plan)
        case .copy: vectorCopy(plan)
        case .zero: setVector(plan, SIMD2(), SIMD2())
        case .fromGeneral:
            let value = state[Int(plan.pointee.source)]
            setVector(plan, SIMD2(plan.pointee.byteCount == 8 ? value : value & 0xFFFF_FFFF, 0), SIMD2())
        case .toGeneral:
            let value = state[field: VectorRegister.low(Int(plan.pointee.source))]
            state[Int(plan.pointee.destination)] = plan.pointee.byteCount == 8 ? value : value & 0xFFFF_FFFF
        case .mmx: try runMMX(i, plan)
        case .x87: try runX87(i, plan)
        case .x87Control: try x87Control(i, plan)
        case .extendedState: try extendedState(i, plan)
        case .emms: emptyMMX()
        case .zeroUpper:
            for number in 0..<vectorRegisterCount { setHigh(number, SIMD2()) }
        case .zeroAll:
            for number in 0..<vectorRegisterCount {
                setLow(number, SIMD2())
                setHigh(number, SIMD2())
            }
        case .maskedLoad: try maskedLoad(i, plan)
        case .maskedStore: try maskedStore(i, plan)
        case .maskedBytes: try maskedBytes(i, plan)
        case .gather: try gather(i, plan)
        case .sha: try sha(i, plan)
        }
    }

    /// 16 in 64-bit mode, 8 elsewhere.
    var vectorRegisterCount: Int { state.mode == .long64 ? 16 : 8 }

    /// Throws what an instruction behind `gate` raises in the current state (SDM 2A §2.6, 3A §13.1).
    @inline(__always)
    func checkGate(_ gate: VectorPlan.Gate) throws(Fault) {
        let s = state
        switch gate {
        case .none: return
        case .sse:
            if s.cr0 & (CR0.emulation | CR0.taskSwitched) == 0, s.cr4 & CR4.osfxsr != 0 { return }
            guard s.cr0 & CR0.emulation == 0, s.cr4 & CR4.osfxsr != 0 else { throw .invalidOpcode }
            throw .deviceNotAvailable
        case .avx:
            guard !s.mode.isRealLike, s.cr4 & CR4.osxsave != 0, s.xcr0 & 6 == 6 else { throw .invalidOpcode }
            guard s.cr0 & CR0.taskSwitched == 0 else { throw .deviceNotAvailable }
        case .mmx, .sseMMX:
            guard s.cr0 & CR0.emulation == 0, gate == .mmx || s.cr4 & CR4.osfxsr != 0 else { throw .invalidOpcode }
            guard s.cr0 & CR0.taskSwitched == 0 else { throw .deviceNotAvailable }
            try checkPendingX87()
        case .x87:
            guard s.cr0 & (CR0.emulation | CR0.taskSwitched) == 0 else { throw .deviceNotAvailable }
        }
    }

    /// Runs the plan's stub, with its memory operand before or after it.
    @inline(__always)
    private func runStub(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) {
        let s = state
        let traits = plan.pointee.traits
        var linear: UInt64 = 0
        if plan.pointee.byteCount != 0 {
            linear = try vectorAddress(i, plan)
            if traits.contains(.readsMemory) {
                try loadBytes(linear, into: raw + VectorScratch.operand, plan.pointee.byteCount)
            }
        }
        if traits.contains(.simd) {
            try callSIMD(plan.pointee.code)
        } else {
            plan.pointee.code.call(raw)
        }
        // Where VCVTPS2PH cannot store, the flags that it raised stay, as on Intel's CPUs.
        if traits.contains(.writesMemory), plan.pointee.byteCount != 0 {
            try storeBytes(linear, from: raw + VectorScratch.operand, plan.pointee.byteCount)
        }
        if traits.contains(.writesFlags) { s.setArithmeticFlags(s[field: VectorScratch.flags]) }
    }

    /// The linear address of the memory operand, aligned as the instruction asks.
    @inline(__always)
    func vectorAddress(_ i: Instruction, _ plan: UnsafePointer<VectorPlan>) throws(Fault) -> UInt64 {
        let linear = try linearAddress(i, plan.pointee.byteCount, write: plan.pointee.traits.contains(.writesMemory))
        guard linear & plan.pointee.alignmentMask == 0 else { throw .generalProtection() }
        return linear
    }
}
