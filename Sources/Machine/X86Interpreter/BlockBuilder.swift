import GuestMemory
import X86
import X86Decoder

extension Core {
    /// The block at RIP, decoded now if need be; then of at most `longest` instructions.
    ///
    /// - Throws: the fault of fetching its first instruction.
    @inline(__always)
    func block(at rip: UInt64, longest: Int = CodeCache.longestBlock) throws(Fault) -> Block {
        let s = state
        let linear = s.isLong64 ? rip : (rip &+ s.effectiveBase(1)) & 0xFFFF_FFFF
        let entry = tlbEntry(linear)
        if hits(entry, TLB.fetchTag, last: linear) {
            let host = UInt(linear &+ entry.load(fromByteOffset: TLB.addend, as: UInt64.self))
            let cache = services.codeCache
            if let block = cache.block(cache.key(host, s.mode)) { return block }
        }
        return try buildBlock(linear, longest)
    }

    /// Fetches and decodes the instructions from `linear` to the end of the block or page, `longest` at most.
    @inline(never)
    private func buildBlock(_ linear: UInt64, _ longest: Int) throws(Fault) -> Block {
        try checkFetchLimit()
        let walk = try translateFetch(linear)
        guard let page = walk.host else { throw .invalidOpcode }
        let cache = services.codeCache
        let offset = Int(linear & 0xFFF)
        let host = page + offset
        let key = cache.key(UInt(bitPattern: host), state.mode)
        if let block = cache.block(key) { return block }

        if services.vectorStubs.isNearlyFull {
            cache.reset()
            services.vectorStubs.removeAll()
        }
        let block = cache.makeBlock()
        let size = CodeSize(rawValue: state.mode.codeByteCount) ?? .bits64
        let bytes = host.assumingMemoryBound(to: UInt8.self)
        // SAFETY: the page holds 4096 bytes, and the decoder looks at no more than it is told of.
        let available = fetchLimitedCount(4096 &- offset)
        var count = 0
        var length = 0
        while count < longest {
            let instruction = block.first + count
            instruction.initialize(to: DecodedInstruction())
            let status = InstructionDecoder.decode(
                bytes + length,
                count: available &- length,
                size: size,
                into: &instruction.pointee
            )
            guard status == .complete else {
                if count > 0 { break }
                return try buildStraddlingBlock(linear, block)
            }
            prepare(instruction, bytes: bytes + length)
            count &+= 1
            length &+= Int(instruction.pointee.length)
            if OpcodeTable.row(instruction.pointee.row).endsBlock || instruction.pointee.operation == .undefined {
                break
            }
        }
        block.count = count
        block.codeByteCount = length
        services.counters.blocksDecoded &+= 1
        services.counters.instructionsDecoded &+= UInt64(count)
        cache.enter(block, key: key, host: host)
        return block
    }

    /// An instruction that runs over the page's end, or over 15 bytes: a block of one, made anew each time it is met.
    private func buildStraddlingBlock(_ linear: UInt64, _ block: Block) throws(Fault) -> Block {
        services.counters.straddlingInstructions &+= 1
        let scratch = raw + Layout.fetchBytes
        var count = 0
        let size = CodeSize(rawValue: state.mode.codeByteCount) ?? .bits64
        let limit = fetchLimitedCount(15)
        var status = DecodeStatus.truncated
        let instruction = block.first
        while count < limit {
            let address = wrapLinear(linear &+ UInt64(count))
            let walk = try translateFetch(address)
            guard let page = walk.host else { throw .invalidOpcode }
            let step = min(4096 &- Int(address & 0xFFF), limit &- count)
            (scratch + count).copyMemory(from: page + Int(address & 0xFFF), byteCount: step)
            count &+= step
            instruction.initialize(to: DecodedInstruction())
            // SAFETY: the scratch bytes are only ever bytes.
            let bytes = UnsafePointer(scratch.assumingMemoryBound(to: UInt8.self))
            status = InstructionDecoder.decode(bytes, count: count, size: size, into: &instruction.pointee)
            if status != .truncated { break }
        }
        // Too long, or the code segment ends inside it.
        guard status == .complete else { throw .generalProtection() }
        // SAFETY: as above.
        prepare(instruction, bytes: UnsafePointer(scratch.assumingMemoryBound(to: UInt8.self)))
        block.count = 1
        block.codeByteCount = Int(instruction.pointee.length)
        block.key = .max
        return block
    }

    /// How many of `count` bytes from RIP on the code segment's limit leaves.
    private func fetchLimitedCount(_ count: Int) -> Int {
        let s = state
        guard !s.isLong64 else { return count }
        let limit = UInt64(s[.cs].limit)
        return s.rip > limit ? 0 : Int(min(UInt64(count), limit &- s.rip &+ 1))
    }

    private func checkFetchLimit() throws(Fault) {
        let s = state
        guard s.isLong64 || s.rip <= UInt64(s[.cs].limit) else { throw .generalProtection() }
    }

    /// Refuses what the CPU model lacks, and chooses how the instruction is run.
    private func prepare(_ instruction: Instruction, bytes: UnsafePointer<UInt8>) {
        let row = OpcodeTable.row(instruction.pointee.row)
        if instruction.pointee.operation != .undefined, !services.model.features.contains(row.feature) {
            instruction.pointee.operation = .undefined
        }
        if instruction.pointee.base == Core.absoluteBase, instruction.pointee.addressByteCount == 8 {
            instruction.pointee.addressByteCount = Core.absoluteAddressByteCount
        }
        if instruction.pointee.operation == .undefined {
            setQuickHandler(instruction, long: false)
        } else if instruction.pointee.operation.rawValue >= Operation.firstVector {
            instruction.pointee.handler = QuickHandler.vector.rawValue
            prepareVector(instruction, bytes: bytes)
        } else {
            setQuickHandler(instruction, long: state.isLong64)
        }
    }
}
