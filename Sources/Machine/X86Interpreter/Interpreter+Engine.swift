package import Engine
import GuestMemory
package import X86

// What an engine that runs most code by itself asks of the interpreter. `Interpreter.run()` is made of the same parts.
extension Interpreter {
    /// The vCPU's raw block: ``CPUState``, then what ``Layout`` says.
    package var block: UnsafeMutableRawPointer { core.raw }

    package var model: CPUModel { services.model }

    package var clock: any MachineClock { services.clock }

    /// What has to be done before code runs: posted writes, the end of a turn, pending events (an interrupt is delivered here).
    ///
    /// - Returns: The exit to take, or nil to run code.
    package func takeExit() -> VMExit? {
        if let write = services.takePosted() { return write }
        if services.yields {
            services.yields = false
            return .interrupted
        }
        if core.state[dword: CPUState.pendingEventsOffset] != 0, let exit = takeEvents() { return exit }
        switch core.state.activity {
        case .active: return nil
        case .halted, .waitForStartUp: return .halted
        case .shutdown: return .shutdown
        }
    }

    /// Whether the next instructions need nothing but to be run: 64-bit code without debugging, alignment checks, an interrupt
    /// shadow, answers of devices or a trace of its blocks.
    package var canTranslate: Bool {
        let s = core.state
        return s.isLong64 && !core.needsCarefulStep && !services.traced.contains(.blocks)
            && s[field: Layout.tlb] != UInt64(UInt(bitPattern: core.table(TLB.checked)))
    }

    /// Interprets whole blocks until `count` instructions have been executed, an event is pending or the engine has to be left.
    package func interpret(atMost count: UInt64) { core.runBlocks(until: core.state.instructionCount &+ count) }

    /// Runs exactly one instruction (one round of a repeated one), or delivers its fault, or leaves a device read that it needs.
    package func stepOne() { core.step() }

    /// The device read that stopped the last instruction, which starts again once it is answered.
    package func takeNeededRead() -> VMExit? { services.takeNeededRead() }

    /// The number of the TLB table whose rules the current CPL and AC follow.
    package var currentTable: Int { core.ruleTable }

    /// Walks to `linear` for a data access with the current privilege, sets accessed and dirty bits, and fills the TLB.
    ///
    /// A fault changes nothing but accessed bits of upper levels: the instruction raises it when it is run.
    ///
    /// - Returns: Whether the TLB now lets the access through: false for faults, devices, and writes to pages with code or to ROM.
    package func fill(_ linear: UInt64, write: Bool) -> Bool {
        let rules = core.ruleTable
        let access: MemoryAccess = write ? .write : .read
        guard (try? core.translate(linear, access, rules)) != nil else { return false }
        return core.hits(core.tlbEntry(linear, table: rules), write ? TLB.writeTag : TLB.readTag, last: linear)
    }

    /// What ``fill(_:byteCount:write:)`` found.
    package enum AccessOutcome {
        /// The TLB now lets the access through.
        case granted
        /// The page holds code, but these bytes hold none: they may be written at this address, this once.
        case besideCode(UnsafeMutableRawPointer)
        /// A fault, a device, or a write to code or to ROM.
        case refused
    }

    /// As ``fill(_:write:)``, for the `byteCount` bytes at `linear`, which lie in one page.
    package func fill(_ linear: UInt64, byteCount: Int, write: Bool) -> AccessOutcome {
        let rules = core.ruleTable
        guard let walk = try? core.translate(linear, write ? .write : .read, rules) else { return .refused }
        if core.hits(core.tlbEntry(linear, table: rules), write ? TLB.writeTag : TLB.readTag, last: linear) {
            return .granted
        }
        let offset = Int(linear & 0xFFF)
        guard write, let host = walk.host, !walk.isReadOnlyRegion,
            !services.codeCache.holdsCode(host, offset: offset, byteCount: byteCount)
        else { return .refused }
        return .besideCode(host + offset)
    }

    /// The host address of the page that code at `linear` is fetched from with the current privilege; its fetch tag is then set.
    ///
    /// - Returns: nil for a fault, and where the page is not memory.
    package func fetchPage(_ linear: UInt64) -> UnsafeMutableRawPointer? {
        let entry = core.tlbEntry(linear, table: core.ruleTable)
        if core.hits(entry, TLB.fetchTag, last: linear) {
            return UnsafeMutableRawPointer(bitPattern: entry.load(fromByteOffset: TLB.hostPage, as: UInt.self))
        }
        return (try? core.translateFetch(linear))?.host
    }

    /// Notes that `byteCount` bytes at `offset` of the page at `hostPage` were translated: a write to them then throws the page's
    /// code away (``InterpreterCodeCache/onInvalidation``).
    package func markCode(hostPage: UnsafeMutableRawPointer, offset: Int, byteCount: Int) {
        services.codeCache.markCode(hostPage, offset: offset, byteCount: byteCount)
    }
}

extension Interpreter {
    /// Whether ``takeExit()`` or ``takeNeededRead()`` has something to say.
    package var needsAttention: Bool {
        core.state[dword: CPUState.pendingEventsOffset] != 0 || services.hasPosted || services.neededRead != nil
            || services.yields
            || core.state.activity != .active
    }
}
