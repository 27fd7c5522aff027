internal import HostCode
internal import CTranslator
internal import Engine
internal import SystemCalls

/// The samples of one vCPU, between the signal that takes them and the profile that they are for.
final class Sampler {
    private let sampler: UnsafeMutablePointer<csampler>
    private let samples: HostMapping
    private let store: TranslationStore
    private let sink: any ProfileSink
    private static let capacity = 8192

    /// `returnStacks`: Where the two stacks of host return addresses lie, the size of each, and where in it it is empty.
    init(
        _ sink: any ProfileSink,
        block: UnsafeMutableRawPointer,
        store: TranslationStore,
        ledger: TimeLedger,
        returnStacks: (base: UInt, byteCount: Int, empty: Int)
    ) throws(SystemCallError) {
        self.sink = sink
        self.store = store
        samples = try HostMapping(anonymous: (Self.capacity * MemoryLayout<csampler_sample>.stride + 4095) & ~4095)
        let executable = UInt64(UInt(bitPattern: store.code.executableBase))
        sampler = .allocate(capacity: 1)
        sampler.initialize(to: csampler())
        sampler.pointee.code_start = executable
        sampler.pointee.code_end = executable + UInt64(store.code.byteCount)
        sampler.pointee.stacks = UInt64(returnStacks.base)
        sampler.pointee.stack_size = UInt64(returnStacks.byteCount)
        sampler.pointee.stack_empty = UInt64(returnStacks.empty)
        // SAFETY: the fields are aligned 64-bit integers of the vCPU's block, and the samples' mapping holds nothing else.
        sampler.pointee.stack = UnsafePointer((block + TranslatorLayout.returnStack).assumingMemoryBound(to: UInt64.self))
        sampler.pointee.rip = UnsafePointer((block + TranslatorLayout.rip).assumingMemoryBound(to: UInt64.self))
        sampler.pointee.displacement = UnsafePointer((block + TranslatorLayout.displacement).assumingMemoryBound(to: UInt64.self))
        sampler.pointee.category = UnsafePointer(ledger.current)
        sampler.pointee.samples = samples.base.assumingMemoryBound(to: csampler_sample.self)
        sampler.pointee.capacity = UInt32(Self.capacity)
    }

    deinit {
        csampler_forget(sampler)
        sampler.deallocate()
    }

    /// Makes this vCPU's the samples that are taken from now on.
    ///
    /// - Returns: Whether the host lets the thread have a timer.
    func select() -> Bool { csampler_select(sampler, UInt32(clamping: sink.rate)) == 0 }

    /// Gives the samples to the profile, while the code that they were taken in is still there.
    func drain() {
        guard sampler.pointee.count > 0 else { return }
        sampler.pointee.paused = 1
        for index in 0..<Int(sampler.pointee.count) { record(&sampler.pointee.samples[index]) }
        if sampler.pointee.lost > 0 { sink.noteLost(sampler.pointee.lost) }
        sampler.pointee.lost = 0
        sampler.pointee.count = 0
        sampler.pointee.paused = 0
    }

    private func record(_ sample: inout csampler_sample) {
        let activity = Activity(rawValue: sample.category) ?? .devices
        var stack: [UInt64] = []
        if activity != .idle {
            stack.reserveCapacity(Int(sample.depth) + 1)
            let place = offset(of: sample.pc).flatMap(store.guestPlace(atCode:))
            stack.append(place.map { $0.address &+ ($0.isRelative ? sample.displacement : 0) } ?? sample.rip)
            withUnsafeBytes(of: &sample.frames) { bytes in
                let frames = bytes.bindMemory(to: UInt64.self)
                let depth = min(Int(sample.depth), frames.count)
                var index = 0
                while index < depth {
                    // What lies before a return address is the call.
                    let place = offset(of: frames[index] &- 1).flatMap(store.guestPlace(atCode:))
                    index += 1
                    guard let place else { continue }
                    guard place.isRelative else {
                        stack.append(place.address)
                        continue
                    }
                    // It has pushed its displacement before.
                    guard index < depth else { break }
                    stack.append(place.address &+ frames[index])
                    index += 1
                }
            }
        }
        sink.record(ProfileSample(stack: stack, activity: activity.name))
    }

    private func offset(of pc: UInt64) -> UInt32? {
        guard pc >= sampler.pointee.code_start, pc < sampler.pointee.code_end else { return nil }
        return UInt32(truncatingIfNeeded: pc - sampler.pointee.code_start)
    }
}

/// Where the code of a guest instruction starts.
struct InstructionStart {
    var offset: UInt32
    /// From the block's first byte.
    var guestOffset: UInt16
    var block: UInt32
}

extension TranslationStore {
    /// The guest instruction whose code holds `offset`, and whether its address lacks the displacement; nil for shared code.
    ///
    /// Known only where ``instructionStarts`` are kept.
    func guestPlace(atCode offset: UInt32) -> (address: UInt64, isRelative: Bool)? {
        guard offset >= UInt32(firstOffset) else { return nil }
        var low = 0
        var high = instructionStarts.count
        while low < high {
            let middle = (low + high) / 2
            if instructionStarts[middle].offset <= offset { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let start = instructionStarts[low - 1]
        let record = blocks[start.block]
        guard offset < record.end else { return nil }
        // Misses and jumps lie behind the instructions: theirs is the call that ends there.
        if offset >= record.bodyEnd {
            let next = self.site(at: offset) + 1
            if Int(next) < sites.count, sites[next].block == start.block {
                return (record.rip &+ UInt64(sites[next].guestOffset), record.isRelative)
            }
        }
        return (record.rip &+ UInt64(start.guestOffset), record.isRelative)
    }
}
