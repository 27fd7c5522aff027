internal import CLinux
internal import CTranslator
public import Engine
internal import Glibc
internal import HostCode
internal import SystemCalls
public import X86
public import X86Interpreter

/// One vCPU whose 64-bit code is translated to host code; the interpreter runs everything else, on the same state.
///
/// Owned by one thread at a time, but for ``interrupt()`` and ``signal(_:)``.
public final class Translator: VirtualCPU, @unchecked Sendable {
    // SAFETY: as for `Interpreter`: everything is touched only by the thread that runs the vCPU, but for its atomic word of events.
    let interpreter: Interpreter
    let block: UnsafeMutableRawPointer
    let store: TranslationStore
    private let returnStack: HostMapping
    private let context: UnsafeMutablePointer<ctranslator_context>
    let environment: BlockTranslator.Environment
    var statistics = TranslatorStatistics()
    let observation: TranslatorObservation
    /// Whether this vCPU's report tells of what all share.
    let reportsShared: Bool
    private let ledger: TimeLedger
    private var sampler: Sampler?
    /// The hash slots in use, a list for each table.
    var usedHashSlots: [[UInt16]] = [[], [], []]
    /// What ``Layout/translationEpoch`` was when the hash and the return stack were last known to be right.
    private var seenEpoch: UInt64 = 0
    /// The store's generation that the numbers of views in the TLB belong to.
    private var seenGeneration: UInt64 = 0
    /// The registers as far as code depends on them.
    private var signature = CodeSignature()
    /// Why the vCPU cannot go on.
    private var failure: String?
    /// Compares what runs with the interpreter, for `--engine check`.
    var check: TranslationCheck?
    private static let returnStackByteCount = 64 << 10
    private static let emptyReturnStack = returnStackByteCount - 64

    /// Makes a vCPU around `interpreter`; those of one machine share `cache`.
    ///
    /// `observation`: What is to be counted and sampled. `reportsShared`: Whether this vCPU's report tells of what all share.
    /// `checks`: All that runs translated runs in the interpreter too, and a difference ends ``run()`` with an error; there can
    /// be one such vCPU in a machine.
    public init(
        interpreter: Interpreter,
        cache: TranslationCache,
        cpuCount: Int,
        observation: TranslatorObservation = TranslatorObservation(),
        reportsShared: Bool = true,
        checks: Bool = false
    ) throws(TranslatorError) {
        self.interpreter = interpreter
        block = interpreter.block
        store = cache.store
        self.observation = observation
        self.reportsShared = reportsShared
        ledger = observation.ledger
        do throws(SystemCallError) { returnStack = try HostMapping(anonymous: 2 * Self.returnStackByteCount) } catch {
            throw .system(error)
        }
        for stack in 0..<2 {
            guard mprotect(returnStack.base + stack * Self.returnStackByteCount, 4096, PROT_NONE) == 0 else {
                throw .system(SystemCallError("mprotect", errno: errno))
            }
        }

        let stubs = cache.stubs
        environment = BlockTranslator.Environment(
            model: interpreter.model,
            hostFeatures: HostRequirements.features,
            countsInstructions: observation.isCounting || checks,
            yieldsOnPause: cpuCount > 1,
            recordsInstructions: observation.recordsInstructions,
            stubs: stubs
        )
        context = .allocate(capacity: 1)
        let executable = UInt64(UInt(bitPattern: store.code.executableBase))
        context.initialize(
            to: ctranslator_context(
                code_start: executable,
                code_end: executable + UInt64(store.code.byteCount),
                stacks: UInt64(UInt(bitPattern: returnStack.base)),
                stack_size: UInt64(Self.returnStackByteCount),
                stack_empty: UInt64(Self.emptyReturnStack),
                return_miss: executable + UInt64(stubs.returnMiss),
                fault_exit: executable + UInt64(stubs.hostFault),
                fault_pc: UInt64(UInt(bitPattern: block)) + UInt64(TranslatorLayout.faultPC)
            )
        )
        let s = state
        s[field: TranslatorLayout.pageMask] = ~0xFFF
        s[field: TranslatorLayout.hashMask] = TranslatorLayout.hashIndexMask
        s[dword: TranslatorLayout.hostMXCSR] = 0x1F80
        for constant in TranslatorLayout.stringConstants + TranslatorLayout.x87Constants {
            s[field: constant.offset] = constant.value
        }
        s[field: TranslatorLayout.maskWithoutIF] = ~RFlags.interruptEnable
        s[field: TranslatorLayout.maskWithoutDF] = ~RFlags.df
        s[field: TranslatorLayout.maskWithoutAC] = ~RFlags.ac
        s[field: TranslatorLayout.canonicalMask] = 0xFFFF_8000_0000_0000
        s[field: TranslatorLayout.canonicalSumMask] = 0x1FFFE
        s[field: TranslatorLayout.arithmeticMask] = RFlags.arithmetic
        for table in 0..<3 {
            let address = UInt(bitPattern: block) + UInt(TranslatorLayout.tlb(table, 0))
            s[field: TranslatorLayout.tablePointers + table * 8] = UInt64(address)
        }
        for table in 0..<3 {
            for slot in 0..<TranslatorLayout.hashCount { clearHash(table, slot) }
        }
        forgetLinear()
        if checks {
            environment.isRepeatable = true
            check = try TranslationCheck(interpreter)
        }
        environment.readsHostCounter = interpreter.clock.hostCounter != nil
        try observe()
    }

    private func observe() throws(TranslatorError) {
        observation.perfMap?.add(environment.stubs, of: store)
        guard let profile = observation.profile else { return }
        do throws(SystemCallError) {
            sampler = try Sampler(
                profile,
                block: block,
                store: store,
                ledger: ledger,
                returnStacks: (UInt(bitPattern: returnStack.base), Self.returnStackByteCount, Self.emptyReturnStack)
            )
        } catch {
            throw .system(error)
        }
    }

    deinit {
        // Its signals look at the memory that goes away next.
        sampler?.stop()
        context.deallocate()
    }

    public var state: CPUState { CPUState(raw: block) }

    public func stateChanged() { interpreter.stateChanged() }
    public func interrupt() { interpreter.interrupt() }
    public func signal(_ event: VirtualCPUEvent) { interpreter.signal(event) }
    public var isRunnable: Bool { interpreter.isRunnable }
    public func completeRead(with value: UInt64) { interpreter.completeRead(with: value) }

    private var pending: UnsafeMutablePointer<UInt32> {
        // SAFETY: the word is only ever accessed as an atomic 32-bit integer.
        (block + CPUState.pendingEventsOffset).assumingMemoryBound(to: UInt32.self)
    }

    // MARK: Running

    public func run() throws(VirtualCPUError) -> VMExit {
        guard ctranslator_enter_thread(context, block) == 0 else {
            throw .unsupported(reason: "the host lets this thread set no GS base", instruction: state.rip)
        }
        if let sampler, !sampler.select() {
            throw .unsupported(reason: "the host lets this thread have no timer", instruction: state.rip)
        }
        ledger.enter(.exits)
        adoptCounter()
        let exit = try runUntilExit()
        restoreDeferredEvents()
        sampler?.drain()
        ledger.enter(exit == .halted ? .idle : .devices)
        return exit
    }

    /// Lets RDTSC make the machine's time; it may have stood still since the last run.
    private func adoptCounter() {
        guard environment.readsHostCounter, let counter = interpreter.clock.hostCounter else { return }
        state[field: TranslatorLayout.counterMultiplier] = counter.multiplier
        state[field: TranslatorLayout.counterOffset] = counter.offset
    }

    private func runUntilExit() throws(VirtualCPUError) -> VMExit {
        while true {
            restoreDeferredEvents()
            if let check {
                check.endRun()
                if let difference = check.report {
                    throw .unsupported(reason: difference, instruction: state.rip)
                }
            }
            if let failure { throw .unsupported(reason: failure, instruction: state.rip) }
            if let exit = interpreter.takeExit() { return exit }
            if interpreter.canTranslate, state.cpl == 0 || state.cpl == 3 {
                deferEvents()
                runTranslated()
            } else if state.isLong64 {
                statistics.steps.mode &+= 1
                step()
            } else {
                ledger.enter(.interpreter)
                let before = state.instructionCount
                interpreter.interpret(atMost: 1000)
                let done = state.instructionCount &- before
                statistics.steps.otherMode &+= done
                statistics.interpretedInstructions &+= done
                ledger.enter(.exits)
            }
            if let read = interpreter.takeNeededRead() { return read }
        }
    }

    /// Runs one instruction in the interpreter, and counts it.
    private func step() {
        ledger.enter(.interpreter)
        let before = state.instructionCount
        interpreter.stepOne()
        statistics.interpretedInstructions &+= state.instructionCount &- before
        ledger.enter(.exits)
    }

    private var deferredEvents: UInt32 {
        get { state[dword: TranslatorLayout.deferred] }
        set { state[dword: TranslatorLayout.deferred] = newValue }
    }

    /// Whether an event that was put aside may have become deliverable: an interrupt by IF, an NMI by any instruction.
    private var mayDeliverDeferred: Bool {
        let events = deferredEvents
        return events & ~Interpreter.Pending.interrupt != 0
            || events != 0 && state.systemFlags & RFlags.interruptEnable != 0
    }

    private func restoreDeferredEvents() {
        guard deferredEvents != 0 else { return }
        clinux_atomic_or(pending, deferredEvents)
        deferredEvents = 0
    }

    /// What is still pending here cannot be delivered before the guest's flags change.
    private func deferEvents() {
        let events = clinux_atomic_load(pending)
        guard events != 0 else { return }
        clinux_atomic_and(pending, ~events)
        deferredEvents |= events
    }

    private func runTranslated() {
        guard var offset = find(state.rip) else {
            // The fetch faults, for the interpreter to raise.
            statistics.steps.fetch &+= 1
            return step()
        }
        loadFlags()
        let s = state
        let executable = UInt(bitPattern: store.code.executableBase)
        let enter = HostCodeAddress(rawValue: executable + UInt(environment.stubs.enter))
        while true {
            s[field: TranslatorLayout.resume] = UInt64(executable) + UInt64(offset)
            selectReturnStack()
            ledger.enter(.translated)
            check?.enter()
            enter.call(block)
            check?.leave()
            ledger.enter(.exits)
            guard let next = handleExit() else { return }
            offset = next
        }
    }

    /// Takes the stack of return addresses of the current privilege.
    private func selectReturnStack() {
        let s = state
        let wanted = s.cpl == 3 ? 0 : 1
        let used = Int(s[dword: TranslatorLayout.stackInUse])
        guard wanted != used else { return }
        s[field: TranslatorLayout.savedStacks + used * 8] = s[field: TranslatorLayout.returnStack]
        s[field: TranslatorLayout.returnStack] = s[field: TranslatorLayout.savedStacks + wanted * 8]
        s[dword: TranslatorLayout.stackInUse] = UInt32(wanted)
    }

    /// Acts on the reason for which translated code was left.
    ///
    /// - Returns: The offset of the code to go on with; nil to look for events first, with the state whole.
    private func handleExit() -> Int? {
        let s = state
        let reason = ExitReason(rawValue: s[dword: TranslatorLayout.exitReason]) ?? .none
        switch reason {
        case .dispatch:
            statistics.dispatches &+= 1
            s.rip = s[field: TranslatorLayout.exitAddress]
            guard isCanonical(s.rip) else { return refuseBranch() }
            guard agrees(), !attention, let found = block(at: s.rip) else { return leave() }
            remember(s.rip, found)
            return start(found, at: s.rip)
        case .hostFault:
            let executable = UInt64(UInt(bitPattern: store.code.executableBase))
            let offset = UInt32(truncatingIfNeeded: s[field: TranslatorLayout.faultPC] &- executable)
            let number = store.site(at: offset &+ 1)
            // An instruction that no fault was foreseen at: the guest's state is not known.
            guard store.sites[number].kind == .hostFault, store.sites[number].offset == offset &+ 1 else {
                failure = "a signal at an instruction that raises none, at offset \(offset) of the translated code"
                return nil
            }
            statistics.steps.hostFault &+= 1
            return interpret(store.sites[number], resume: nil)
        default: break
        }
        let offset = popReturn()
        let site = store.sites[store.site(at: offset)]
        switch reason {
        case .readMiss, .writeMiss:
            let linear = s[field: TranslatorLayout.exitAddress]
            statistics.misses &+= 1
            let crosses = linear & 0xFFF &+ UInt64(site.amount) > 4096
            s.rip = address(of: site.block) &+ UInt64(site.guestOffset)
            ledger.enter(.misses)
            if !crosses, check?.isFull != true {
                switch interpreter.fill(linear, byteCount: Int(site.amount), write: reason == .writeMiss) {
                case .granted: return Int(site.resume)
                case .besideCode(let host) where site.operation != 0:
                    resumeBehindCheck(of: site, operandAt: host)
                    statistics.writesBesideCode &+= 1
                    return environment.stubs.crossing
                default: break
                }
            }
            if crosses, reason == .readMiss, let operand = gather(linear, Int(site.amount)) {
                resumeBehindCheck(of: site, operandAt: operand)
                statistics.gathers &+= 1
                return environment.stubs.crossing
            }
            if crosses { statistics.steps.crossing &+= 1 } else { statistics.steps.access &+= 1 }
            return interpret(site, resume: nil)
        case .fallback:
            if site.kind == .straddle, let next = proveSecondPage(store.site(at: offset), behind: Int(offset)) {
                return next
            }
            statistics.steps.instruction &+= 1
            statistics.operations[Int(site.operation)] &+= 1
            return interpret(site, resume: site.kind == .fallback ? Int(offset) : nil)
        case .link:
            return site.kind == .indirectLink ? followIndirect(site.resume) : follow(site.resume)
        case .pending:
            s.rip = target(of: store.links[site.resume], in: site.block)
            return agrees() ? leave() : nil
        default: return leave()
        }
    }

    /// The linear address of the first byte of `block`, which was just left.
    func address(of block: UInt32) -> UInt64 {
        let record = store.blocks[block]
        return record.isRelative ? record.rip &+ state[field: TranslatorLayout.displacement] : record.rip
    }

    private func target(of link: Link, in block: UInt32) -> UInt64 {
        link.isAbsolute ? UInt64(bitPattern: link.target) : address(of: block) &+ UInt64(bitPattern: link.target)
    }

    /// The last indirect branch has a target that is not canonical: it is taken back, and run by the interpreter.
    private func refuseBranch() -> Int? {
        let s = state
        let site = store.sites[s[dword: TranslatorLayout.branchSite]]
        s.rsp = s.rsp &- UInt64(bitPattern: Int64(site.amount))
        if environment.countsInstructions { s.instructionCount &-= 1 }
        statistics.steps.access &+= 1
        return interpret(site, resume: nil)
    }

    /// The offset that the call of a stub pushed.
    private func popReturn() -> UInt32 {
        let s = state
        let top = s[field: TranslatorLayout.returnStack]
        s[field: TranslatorLayout.returnStack] = top &+ 8
        let address = UnsafeRawPointer(bitPattern: UInt(top)).unsafelyUnwrapped.load(as: UInt64.self)
        return UInt32(truncatingIfNeeded: address &- UInt64(UInt(bitPattern: store.code.executableBase)))
    }

    /// Whether somebody wants something of this vCPU.
    private var attention: Bool { state[dword: CPUState.pendingEventsOffset] != 0 }

    private func leave() -> Int? {
        storeFlags()
        return nil
    }

    /// Runs the instruction at `site` in the interpreter.
    ///
    /// - Returns: `resume` if the next instruction is the one behind it and nothing has changed that its code depends on;
    ///   otherwise where the next instruction is translated.
    private func interpret(_ site: Site, resume: Int?) -> Int? {
        let s = state
        let start = address(of: site.block) &+ UInt64(site.guestOffset)
        s.rip = start
        storeFlags()
        if environment.countsInstructions { s.instructionCount &+= UInt64(bitPattern: Int64(site.uncounted)) }
        let operation = site.kind == .fallback || site.kind == .leave ? site.operation : nil
        guard agrees(before: operation, faulted: site.kind == .hostFault) else { return nil }
        let table = interpreter.currentTable
        step()
        guard interpreter.canTranslate, !interpreter.needsAttention, !mayDeliverDeferred else { return nil }
        if let resume, seenGeneration == store.generation, s.rip > start, s.rip <= start &+ 15,
            interpreter.currentTable == table, seenEpoch == s[field: Layout.translationEpoch],
            signature == CodeSignature(state)
        {
            loadFlags()
            return resume
        }
        guard let offset = find(s.rip) else { return nil }
        loadFlags()
        return offset
    }

    func loadFlags() {
        let s = state
        s[field: TranslatorLayout.hostFlags] = s.rflags & RFlags.arithmetic | 0x202
    }

    func storeFlags() { state.setArithmeticFlags(state[field: TranslatorLayout.hostFlags]) }

    /// The jump at `number` is to be made, and linked if its target can be translated.
    private func follow(_ number: UInt32) -> Int? {
        let link = store.links[number]
        let source = store.sites[link.site].block
        let target = target(of: link, in: source)
        state.rip = target
        statistics.links &+= 1
        guard agrees() else { return nil }
        let generation = store.generation
        guard let view = view(target), let found = translated(target, view) else { return leave() }
        let record = store.blocks[found]
        // A reset has thrown the jump away.
        if store.generation == generation, !store.blocks[source].isDead, check?.isStepping != true {
            let displacement = target &- record.rip
            let change = displacement &- state[field: TranslatorLayout.displacement]
            if !record.isRelative || store.blocks[source].isRelative && change == 0 && !link.isAbsolute {
                store.link(number, to: found)
            } else if !(store.blocks[source].isRelative && link.isAbsolute) {
                // Pages that became position-independent in different processes differ in what they take for their address.
                let entry = store.entry(
                    found,
                    displacement: store.blocks[source].isRelative ? .sum(change) : .constant(displacement)
                )
                if let entry { store.link(number, to: found, entry: entry) }
            }
        }
        return attention ? leave() : start(found, at: target)
    }

    /// The indirect branch at `number` is to be made, and will expect its target from now on.
    private func followIndirect(_ number: UInt32) -> Int? {
        let s = state
        let target = s[field: TranslatorLayout.exitAddress]
        s.rip = target
        guard isCanonical(target) else { return refuseBranch() }
        statistics.links &+= 1
        guard agrees() else { return nil }
        let source = store.sites[store.links[number].site].block
        let generation = store.generation
        guard let view = view(target), let found = translated(target, view) else { return leave() }
        if store.generation == generation, !store.blocks[source].isDead, check?.isStepping != true {
            let table = interpreter.currentTable
            store.link(
                number,
                to: found,
                entry: entry(found, at: target),
                rip: target,
                hash: environment.stubs.dispatch[table],
                slot: TranslatorLayout.tlb(table, TLB.viewID) + TLB.slot(target) * 8
            )
        }
        return attention ? leave() : start(found, at: target)
    }

    /// Where code that knows nothing of displacements enters `block`, whose address is now `rip`.
    func entry(_ block: UInt32, at rip: UInt64) -> UInt32 {
        let record = store.blocks[block]
        guard record.isRelative else { return record.start }
        return store.entry(block, displacement: .constant(rip &- record.rip)) ?? UInt32(environment.stubs.dispatchExit)
    }

    /// The offset of `block`, which runs next, at `rip`.
    private func start(_ block: UInt32, at rip: UInt64) -> Int {
        let record = store.blocks[block]
        if record.isRelative { state[field: TranslatorLayout.displacement] = rip &- record.rip }
        return Int(record.start)
    }

    // MARK: Finding code

    /// The code for the instruction at `rip`, translated now if need be; nil where fetching it faults.
    func find(_ rip: UInt64) -> Int? { block(at: rip).map { start($0, at: rip) } }

    private func block(at rip: UInt64) -> UInt32? {
        if signature != CodeSignature(state) { adoptSignature() }
        if seenGeneration != store.generation { forgetViews() }
        if seenEpoch != state[field: Layout.translationEpoch] { forgetLinear() }
        return view(rip).flatMap { translated(rip, $0) }
    }

    private func adoptSignature() {
        signature = CodeSignature(state)
        environment.signature = signature
        if store.signature != signature { reset() }
    }

    /// The view of the page that holds `rip`, entered into the TLB.
    func view(_ rip: UInt64) -> UInt32? {
        let table = interpreter.currentTable
        let slot = TLB.slot(rip) * 8
        let entry = block + TranslatorLayout.tlb(table, 0) + slot
        let page = rip & ~0xFFF
        if entry.load(fromByteOffset: TLB.fetchTag, as: UInt64.self) &+ page == 0 {
            let number = entry.load(fromByteOffset: TLB.viewID, as: UInt64.self)
            if number != 0 { return UInt32(truncatingIfNeeded: number) }
        }
        guard let host = interpreter.fetchPage(rip) else { return nil }
        let number = store.view(page, host, table)
        entry.storeBytes(of: UInt64(number), toByteOffset: TLB.viewID, as: UInt64.self)
        return number
    }

    private func translated(_ rip: UInt64, _ view: UInt32) -> UInt32? {
        if let known = store.block(view, rip) { return known }
        var view = view
        if store.isFull {
            reset()
            guard let again = self.view(rip) else { return nil }
            view = again
        }
        ledger.enter(.translating)
        let record = store.views[Int(view)]
        // SAFETY: guest memory is only ever bytes.
        let code = UnsafePointer((record.hostPage + Int(rip & 0xFFF)).assumingMemoryBound(to: UInt8.self))
        if BlockTranslator.straddles(code, count: 4096 - Int(rip & 0xFFF)) {
            statistics.blocks &+= 1
            return translateStraddling(rip, view, code)
        }
        var translator = BlockTranslator(environment, store, rip: rip, view: view)
        let number = translator.translate()
        let made = store.blocks[number]
        interpreter.markCode(hostPage: record.hostPage, offset: Int(rip & 0xFFF), byteCount: Int(made.byteCount))
        statistics.blocks &+= 1
        statistics.translatedInstructions &+= UInt64(made.instructionCount)
        statistics.guestByteCount &+= UInt64(made.byteCount)
        statistics.hostByteCount &+= UInt64(made.end - made.start)
        observation.perfMap?.add(made, of: store)
        ledger.enter(.exits)
        return number
    }

    /// Throws every translation away.
    func reset() {
        statistics.resets &+= 1
        sampler?.drain()
        store.removeAll()
        store.signature = signature
        forgetViews()
    }

    /// Another reset has given the numbers of views to other pages.
    private func forgetViews() {
        seenGeneration = store.generation
        for table in 0..<3 {
            let views = block + TranslatorLayout.tlb(table, TLB.viewID)
            views.initializeMemory(as: UInt8.self, repeating: 0, count: TLB.entryCount * 8)
        }
        forgetLinear()
    }

    /// Forgets what holds for linear addresses: the hash and the return stack.
    func forgetLinear() {
        seenEpoch = state[field: Layout.translationEpoch]
        let first = UInt64(UInt(bitPattern: returnStack.base)) + UInt64(Self.emptyReturnStack)
        let returnMiss = UInt64(UInt(bitPattern: store.code.executableBase)) + UInt64(environment.stubs.returnMiss)
        for stack in 0..<2 {
            let empty = Self.emptyReturnStack + stack * Self.returnStackByteCount
            state[field: TranslatorLayout.savedStacks + stack * 8] = first + UInt64(stack * Self.returnStackByteCount)
            // Twice, as after an overflow: a call's return address may have gone without its displacement.
            for entry in [empty, empty + 8] {
                returnStack.base.storeBytes(of: returnMiss, toByteOffset: entry, as: UInt64.self)
            }
        }
        state[field: TranslatorLayout.returnStack] =
            state[field: TranslatorLayout.savedStacks + Int(state[dword: TranslatorLayout.stackInUse]) * 8]
        for table in 0..<3 {
            for slot in usedHashSlots[table] { clearHash(table, Int(slot)) }
            usedHashSlots[table].removeAll(keepingCapacity: true)
        }
    }
}
