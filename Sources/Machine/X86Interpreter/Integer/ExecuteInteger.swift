import X86
import X86Decoder

extension Core {
    /// Executes any integer instruction, in any mode and form: the complete function behind the quick handlers.
    ///
    /// ``instructionRIP`` is that of `i`. LOCK needs nothing here: vCPUs that share memory take turns.
    @inline(never)
    func executeInteger(_ i: Instruction) throws(Fault) {
        switch i.pointee.operation {
        case .add, .or, .adc, .sbb, .and, .sub, .xor: try executeArithmetic(i)
        case .cmp, .test: try executeComparison(i)
        case .inc, .dec, .neg, .not: try executeUnary(i)
        case .mul: try executeWideMultiply(i)
        case .imul where i.pointee.operands.1.kind == .none: try executeWideMultiply(i)
        case .imul: try executeMultiply(i)
        case .div, .idiv: try executeDivide(i)
        case .mov, .movnti: try executeMove(i)
        case .movzx, .movsx, .movsxd: try executeExtend(i)
        case .xchg, .xadd, .cmpxchg: try executeExchange(i)
        case .cmpxchg8b: try executeCompareExchange8(i)
        case .cmpxchg16b: try executeCompareExchange16(i)
        case .lea: setOperandRegister(i, i.pointee.operands.0.number, effectiveOffset(i))
        case .push: try executePush(i)
        case .pop: try executePop(i)
        case .pusha: try executePushAll(i)
        case .popa: try executePopAll(i)
        case .pushf: try executePushFlags(i)
        case .popf: try executePopFlags(i)
        case .enter: try executeEnter(i)
        case .leave: try executeLeave(i)
        case .callNear: try executeCall(i)
        case .jmpNear: try executeJump(i)
        case .retNear: try executeReturn(i)
        case .jcc: try executeConditionalJump(i)
        case .setcc: try write(i, i.pointee.operands.0, condition(i.pointee.opcode) ? 1 : 0 as UInt8)
        case .cmovcc: try executeConditionalMove(i)
        case .loop, .loope, .loopne: try executeLoop(i)
        case .jcxz: try executeJumpIfCountIsZero(i)
        case .rol, .ror, .rcl, .rcr, .shl, .shr, .sar: try executeShift(i)
        case .shld, .shrd: try executeDoubleShift(i)
        case .bt, .bts, .btr, .btc: try executeBitTest(i)
        case .bsf, .bsr, .tzcnt, .lzcnt, .popcnt: try executeBitScan(i)
        case .bswap: executeByteSwap(i)
        case .movbe: try executeSwappedMove(i)
        case .cbw: executeExtendAccumulator(i)
        case .cwd: executeExtendIntoData(i)
        case .lahf: executeLoadFlagsIntoAH()
        case .sahf: executeStoreAHIntoFlags()
        case .clc: setCarry(false)
        case .stc: setCarry(true)
        case .cmc: setCarry(!state.carryFlag)
        case .cld: executeSetDirection(false)
        case .std: executeSetDirection(true)
        case .salc: setRegister(0, state.carryFlag ? UInt8.max : 0)
        case .xlat: try executeTranslate(i)
        case .aaa, .aas: executeAdjustUnpacked(i)
        case .aam: try executeAdjustAfterMultiply(i)
        case .aad: executeAdjustBeforeDivide(i)
        case .daa, .das: executeAdjustPacked(i)
        case .movs: try executeMoveString(i)
        case .stos: try executeStoreString(i)
        case .lods: try executeLoadString(i)
        case .cmps, .scas: try executeCompareString(i)
        case .andn, .bextr, .blsi, .blsmsk, .blsr, .bzhi: try executeBitField(i)
        case .mulx: try executeMulx(i)
        case .pdep, .pext: try executeBitGather(i)
        case .rorx, .sarx, .shlx, .shrx: try executeFlaglessShift(i)
        case .adcx, .adox: try executeAddWithOneFlag(i)
        case .crc32: try executeChecksum(i)
        case .rdrand, .rdseed: executeRandom(i)
        case .bound: try executeBound(i)
        // These fault as a load of the byte would (SDM 2A "CLFLUSH"); there are no caches to flush.
        case .clflush, .clflushopt, .clwb: try executeCacheFlush(i)
        // Memory is strongly ordered here, and vCPUs take turns.
        case .pause: pause()
        case .nop, .prefetch, .lfence, .mfence, .sfence, .endbr: break
        default: throw .invalidOpcode
        }
    }

    private func executeCacheFlush(_ i: Instruction) throws(Fault) {
        let linear = try linearAddress(i, 1, write: false)
        guard hostReadPointer(linear) == nil else { return }
        _ = try walk(linear, .read, rules: ruleTable)
    }
}
