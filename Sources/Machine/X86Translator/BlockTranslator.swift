import Engine
import HostCode
import X86
import X86Decoder
import X86Interpreter

/// Translates one block of 64-bit guest code.
///
/// The code of an instruction changes nothing that the guest can see before its last point of failure, so that any failure
/// - a page that the TLB does not hold, a device, a fault - leaves a state from which the interpreter can run the instruction.
/// Every sequence of ours leaves the flags alone.
struct BlockTranslator {
    /// A jump whose code lies behind the block.
    struct Edge {
        /// Where the displacement lies that leads to it.
        var field: Int
        var guestOffset: Int
        /// The linear target, and the TLB table of the code there.
        var target: UInt64
        var table: Int
        /// The target is in R9 instead.
        var isIndirect = false
        /// The target does not move with position-independent code.
        var isAbsolute = false
    }

    /// A failed check: its jump, and where the access starts.
    struct Miss {
        var field: Int
        var resume: Int
        var guestOffset: Int
        var byteCount: Int
        var isWrite: Bool
        var uncounted: Int
        /// Where R9 + RCX is the host address.
        var proved = 0
    }

    /// What is written behind a block.
    struct Worklists {
        var edges: [Edge] = []
        var misses: [Miss] = []
        var detours: [Detour] = []

        mutating func removeAll() {
            edges.removeAll(keepingCapacity: true)
            misses.removeAll(keepingCapacity: true)
            detours.removeAll(keepingCapacity: true)
        }
    }

    /// What code may use.
    final class Environment {
        let model: CPUModel
        let hostFeatures: CPUFeatureSet
        var signature = CodeSignature()
        let countsInstructions: Bool
        let yieldsOnPause: Bool
        let recordsInstructions: Bool
        /// Instructions whose result is another each time are the interpreter's.
        var isRepeatable = false
        /// Time can be made from the host's counter.
        var readsHostCounter = false
        /// Instructions in a block.
        var longestBlock = 64
        let stubs: Stubs

        init(
            model: CPUModel,
            hostFeatures: CPUFeatureSet,
            countsInstructions: Bool = false,
            yieldsOnPause: Bool = false,
            recordsInstructions: Bool = false,
            stubs: Stubs
        ) {
            self.model = model
            self.hostFeatures = hostFeatures
            self.countsInstructions = countsInstructions
            self.yieldsOnPause = yieldsOnPause
            self.recordsInstructions = recordsInstructions
            self.stubs = stubs
        }
    }

    let environment: Environment
    let store: TranslationStore
    var e: Emitter
    /// The TLB table of the current privilege and AC; STAC and CLAC change it inside the block.
    var table: Int
    /// Of the first byte; without the displacement if the code is position-independent.
    let rip: UInt64
    let isRelative: Bool
    /// The bytes of guest code, from the first.
    var code: UnsafePointer<UInt8>
    let number: UInt32
    private let view: UInt32
    var i = DecodedInstruction()
    /// Of the running instruction, and of the next, from the block's start.
    var guestOffset = 0
    var nextOffset = 0
    /// The store's between blocks, so that a block allocates nothing.
    var lists: Worklists
    /// Instructions, the running one among them, since the last that were counted.
    var uncounted = 0
    var instructionCount = 0
    /// What ``instructionCount`` was before the instruction at ``guestOffset``.
    var countBefore = 0

    /// The block at `rip`, whose bytes up to the page's end are at `code`.
    init(_ environment: Environment, _ store: TranslationStore, rip: UInt64, view: UInt32) {
        self.environment = environment
        self.store = store
        self.view = view
        let page = store.views[Int(view)]
        table = page.table
        isRelative = page.isRelative
        self.rip = page.linearPage | rip & 0xFFF
        // SAFETY: guest memory is only ever bytes.
        code = UnsafePointer((page.hostPage + Int(rip & 0xFFF)).assumingMemoryBound(to: UInt8.self))
        available = 4096 - Int(rip & 0xFFF)
        e = Emitter(base: store.code.writableBase, offset: store.used)
        lists = Worklists()
        swap(&lists, &store.spareLists)
        number = store.blocks.append(
            BlockRecord(
                rip: self.rip,
                start: UInt32(store.used),
                view: view,
                isRelative: isRelative
            )
        )
    }

    /// Linear address of the next instruction, without the displacement.
    var nextRIP: UInt64 { rip &+ UInt64(nextOffset) }

    /// Translates to the block's end, and enters the block.
    mutating func translate() -> UInt32 {
        var isOpen = true
        while isOpen, instructionCount < environment.longestBlock {
            countBefore = instructionCount
            guestOffset = nextOffset
            // What is translated already is not translated again.
            if instructionCount > 0, store.block(view, nextRIP) != nil { break }
            guard decodeNext() else {
                if instructionCount == 0 {
                    // It straddles pages, or is too long.
                    leave()
                    nextOffset = available
                    isOpen = false
                }
                break
            }
            isOpen = instruction()
        }
        if isOpen { jump(to: nextRIP) }
        finish()
        return number
    }

    /// The bytes from the block's start to the end of those that it may be made of: its page's.
    var available: Int

    /// Takes the next instruction into ``i``, if the page holds all of it.
    private mutating func decodeNext() -> Bool {
        guard let next = peek() else { return false }
        take(next)
        return true
    }

    /// The next instruction, if the page holds all of it.
    func peek() -> DecodedInstruction? {
        var next = DecodedInstruction()
        let status = InstructionDecoder.decode(
            code + nextOffset,
            count: available - nextOffset,
            size: .bits64,
            into: &next
        )
        return status == .complete ? next : nil
    }

    /// Makes `next` part of the block.
    mutating func take(_ next: DecodedInstruction) {
        i = next
        if environment.recordsInstructions {
            store.instructionStarts.append(
                InstructionStart(offset: UInt32(e.offset), guestOffset: UInt16(nextOffset), block: number)
            )
        }
        nextOffset += Int(next.length)
        instructionCount += 1
        uncounted += 1
    }

    mutating func finish() {
        store.blocks[number].bodyEnd = UInt32(e.offset)
        for index in lists.edges.indices { write(lists.edges[index]) }
        finishDetours()
        for miss in lists.misses {
            e.patch(miss.field, to: e.offset)
            e.call(miss.isWrite ? environment.stubs.writeMiss : environment.stubs.readMiss)
            let site = addSite(
                .access,
                miss.guestOffset,
                amount: miss.byteCount,
                resume: miss.resume,
                uncounted: miss.uncounted
            )
            store.sites[site].operation = UInt16(miss.proved - miss.resume)
        }
        store.blocks[number].end = UInt32(e.offset)
        store.blocks[number].byteCount = UInt16(nextOffset)
        store.blocks[number].instructionCount = UInt16(instructionCount)
        store.used = (e.offset + 15) & ~15
        lists.removeAll()
        swap(&lists, &store.spareLists)
        store.enter(number)
    }

    /// Records that the call just written leaves.
    @discardableResult
    mutating func addSite(
        _ kind: Site.Kind,
        _ guestOffset: Int,
        amount: Int = 0,
        resume: Int = 0,
        offset: Int? = nil,
        uncounted: Int = 0
    ) -> UInt32 {
        store.append(
            Site(
                offset: UInt32(offset ?? e.offset),
                resume: UInt32(resume),
                block: number,
                guestOffset: UInt16(guestOffset),
                operation: i.operation.rawValue,
                amount: Int32(amount),
                uncounted: Int8(truncatingIfNeeded: uncounted),
                kind: kind
            )
        )
    }

    // MARK: Leaving

    /// Instructions before the one at ``guestOffset`` that are still to be counted; negative where it was counted itself.
    var uncountedBefore: Int { uncounted - (instructionCount - countBefore) }

    /// Lets the interpreter run the instruction, and goes on behind it.
    mutating func fallback() {
        let correction = uncounted == 0 ? uncountedBefore : 0
        count()
        e.call(environment.stubs.fallback)
        addSite(.fallback, guestOffset, uncounted: correction)
    }

    /// Lets the interpreter run the instruction, which goes somewhere else.
    mutating func leave() {
        let correction = uncounted == 0 ? uncountedBefore : 0
        count()
        e.call(environment.stubs.fallback)
        addSite(.leave, guestOffset, uncounted: correction)
    }

    /// Adds the instructions since the last call to the vCPU's count.
    mutating func count(excluding excluded: Int = 1) {
        let n = uncounted - excluded
        uncounted = 0
        if environment.countsInstructions, n > 0 { e.addToCount(n) }
    }

    // MARK: Jumps

    /// JMP to a linear address.
    mutating func jump(to target: UInt64) {
        count(excluding: 0)
        lists.edges.append(Edge(field: e.jump(e.offset), guestOffset: guestOffset, target: target, table: table))
    }

    /// JMP to the code at `target` that runs with another TLB table.
    mutating func jump(to target: UInt64, table: Int) {
        lists.edges.append(
            Edge(field: e.jump(e.offset), guestOffset: guestOffset, target: target, table: table, isAbsolute: true)
        )
    }

    /// The host's Jcc to a linear address.
    mutating func jump(if condition: UInt8, to target: UInt64) {
        count(excluding: 0)
        lists.edges.append(
            Edge(field: e.jump(if: condition, e.offset), guestOffset: guestOffset, target: target, table: table)
        )
    }

    /// The host's CALL of a linear address.
    mutating func call(to target: UInt64) {
        lists.edges.append(Edge(field: e.call(e.offset), guestOffset: guestOffset, target: target, table: table))
    }

    /// JMP, or the host's CALL, of the address in R9.
    mutating func branchIndirectly(isCall: Bool) {
        let field = isCall ? e.call(e.offset) : e.jump(e.offset)
        lists.edges.append(Edge(field: field, guestOffset: guestOffset, target: rip, table: table, isIndirect: true))
    }

    /// Compares the target in R9 with the one that the branch had first, and jumps there directly if they are equal, no event
    /// is pending, and its page is still the same; otherwise through the hash.
    ///
    /// On hosts that predict no indirect jumps this is several times as fast as the hash.
    private mutating func writeIndirect(_ edge: Edge) {
        let rcx = HostRegisters.scratch
        let dispatch = environment.stubs.dispatch[edge.table]
        let link = store.links.append(Link(target: 0))
        e.patch(edge.field, to: e.offset)
        // MOV RCX, -target; no target is at -1.
        e.bytes(0xB948, 2)
        e.qword(1)
        e.sumOfScratch(0)
        e.jumpIfZeroCount(over: 5)
        let other = e.jump(e.offset)
        e.loadState32(rcx, TranslatorLayout.pending)
        e.jumpIfZeroCount(over: 5)
        e.jump(dispatch)
        e.loadState32(rcx, TranslatorLayout.tlb(edge.table, TLB.viewID))
        e.bytes(0x89_8D48, 3)
        let guardField = e.offset
        e.dword(Int(Int32.min))
        e.jumpIfZeroCount(over: 5)
        e.jump(dispatch)
        let field = e.jump(e.offset + 5)
        e.patch(other, to: e.offset)
        e.call(environment.stubs.link)
        store.links[link].site = addSite(.indirectLink, edge.guestOffset, resume: Int(link))
        store.links[link].field = UInt32(field)
        store.links[link].guardField = UInt32(guardField)
        store.links[link].otherField = UInt32(other)
    }

    private mutating func write(_ edge: Edge) {
        if edge.isIndirect { return writeIndirect(edge) }
        let crosses = (edge.target ^ rip) & ~0xFFF != 0 || (edge.table == 0) != (table == 0)
        let isBackward = edge.target <= rip &+ UInt64(edge.guestOffset)
        var field = edge.field
        var guardField = 0
        let link = store.links.append(
            edge.isAbsolute
                ? Link(target: Int64(bitPattern: edge.target), isAbsolute: true)
                : Link(target: Int64(bitPattern: edge.target &- rip))
        )
        if isBackward || crosses { e.patch(field, to: e.offset) }
        if isBackward {
            e.loadState32(HostRegisters.scratch, TranslatorLayout.pending)
            e.jumpIfZeroCount(over: 5)
            e.call(environment.stubs.pending)
            addSite(.pending, edge.guestOffset, resume: Int(link))
        }
        if crosses {
            if isRelative, !edge.isAbsolute {
                linear(HostRegisters.address, edge.target)
                e.slot()
                e.loadTable(HostRegisters.scratch, TranslatorLayout.tlb(edge.table, TLB.viewID))
            } else {
                let slot = TLB.slot(edge.target)
                e.loadState32(HostRegisters.scratch, TranslatorLayout.tlb(edge.table, TLB.viewID) + slot * 8)
            }
            // Never equal to any view's number until it is linked.
            e.bytes(0x89_8D48, 3)
            guardField = e.offset
            e.dword(Int(Int32.min))
            e.jumpIfZeroCount(over: 5)
            e.jump(e.offset + 10)
        }
        if isBackward || crosses { field = e.jump(e.offset + 5) }
        e.patch(field, to: e.offset)
        e.call(environment.stubs.link)
        store.links[link].site = addSite(.link, edge.guestOffset, resume: Int(link))
        store.links[link].field = UInt32(field)
        store.links[link].guardField = UInt32(guardField)
    }

    // MARK: Memory

    /// `register` = the linear address `address` of this code's; RCX is lost if the code is position-independent.
    mutating func linear(_ register: UInt8, _ address: UInt64) {
        e.move(register, constant: address)
        guard isRelative else { return }
        e.loadState(HostRegisters.scratch, TranslatorLayout.displacement)
        e.lea(register, base: register, index: HostRegisters.scratch, 0)
    }

    /// R9 = the linear address of the memory operand.
    mutating func address() {
        let r9 = HostRegisters.address
        let rcx = HostRegisters.scratch
        if i.base == 17 {
            linear(r9, nextRIP &+ UInt64(bitPattern: Int64(i.displacement)))
            // MOV R9D, R9D
            if i.addressByteCount == 4 { e.bytes(0xC98945, 3) }
        } else if i.base == 18 {
            e.move(r9, constant: i.addressByteCount == 4 ? i.immediate & 0xFFFF_FFFF : i.immediate)
        } else {
            effectiveAddress(r9, wide: i.addressByteCount == 8)
        }
        if i.segment == 4 || i.segment == 5 {
            e.loadState(rcx, TranslatorLayout.effectiveBase(i.segment))
            e.joinAddress()
        }
    }

    /// LEA with the operand's registers; those in memory come through R9 and RCX.
    mutating func effectiveAddress(_ destination: UInt8, wide: Bool) {
        var base = Emitter.none
        var index = Emitter.none
        if i.base < 16 {
            base = HostRegisters.host(i.base)
            if base == HostRegisters.inMemory {
                base = HostRegisters.address
                e.loadState(base, TranslatorLayout.general(i.base))
            }
        }
        if i.index < 16 {
            index = HostRegisters.host(i.index)
            if index == HostRegisters.inMemory {
                index = HostRegisters.scratch
                e.loadState(index, TranslatorLayout.general(i.index))
            }
        }
        e.lea(destination, base: base, index: index, scale: i.scale, Int(i.displacement), wide: wide)
    }

    /// Proves that the `byteCount` bytes at R9 may be accessed: afterwards the host address is R9 + RCX.
    ///
    /// `resume`: Where R9 is computed, to which a miss returns.
    mutating func check(_ byteCount: Int, write: Bool, resume: Int) {
        let rcx = HostRegisters.scratch
        e.slot()
        e.loadTable(rcx, TranslatorLayout.tlb(table, write ? TLB.writeTag : TLB.readTag))
        e.sumOfScratch(byteCount - 1)
        e.extract(rcx, mask: TranslatorLayout.pageMask)
        e.jumpIfZeroCount(over: 5)
        lists.misses.append(
            Miss(
                field: e.jump(e.offset),
                resume: resume,
                guestOffset: guestOffset,
                byteCount: byteCount,
                isWrite: write,
                uncounted: uncountedBefore
            )
        )
        e.slot()
        e.loadTable(rcx, TranslatorLayout.tlb(table, TLB.addend))
        lists.misses[lists.misses.count - 1].proved = e.offset
    }

    /// Of the last check: it stands for more bytes than it tells of, so that only a right to the whole page goes past it.
    mutating func checksWholePage() {
        lists.misses[lists.misses.count - 1].proved = lists.misses[lists.misses.count - 1].resume
    }

    /// The memory operand: R9 + RCX is its host address.
    mutating func operand(_ byteCount: Int, write: Bool) {
        let resume = e.offset
        address()
        check(byteCount, write: write, resume: resume)
    }

    /// `byteCount` bytes at guest RSP + `displacement`.
    mutating func stack(_ displacement: Int, _ byteCount: Int, write: Bool) {
        let resume = e.offset
        e.lea(HostRegisters.address, base: HostRegisters.guestStack, displacement)
        check(byteCount, write: write, resume: resume)
    }
}
