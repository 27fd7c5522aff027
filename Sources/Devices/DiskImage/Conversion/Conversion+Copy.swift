/// Parts of a disk between their reading and their writing; guarded by the conversion's lock.
struct PendingWrites {
    struct Write {
        var offset: UInt64
        var byteCount: Int
        var buffer: ByteBuffer
        /// The parts of the buffer that are not zeros.
        var runs: [Range<Int>]
    }
    /// In the order of their reading.
    var writes: [Write] = []
    /// A thread writes.
    var hasWriter = false
    /// Threads that wait for a buffer.
    var waiterCount = 0
    private var buffers: [ByteBuffer] = []
    private var count = 0
    private let limit: Int
    private let byteCount: Int

    init(limit: Int, byteCount: Int) {
        self.limit = limit
        self.byteCount = byteCount
    }

    mutating func takeBuffer() -> ByteBuffer? {
        if let last = buffers.popLast() { return last }
        guard count < limit else { return nil }
        count += 1
        return ByteBuffer(uninitialized: byteCount)
    }

    mutating func giveBack(_ buffer: ByteBuffer) { buffers.append(buffer) }

    /// A thread that waits goes on when it has much to do: each time it is woken costs more than a read.
    var isWorthWaking: Bool { waiterCount > 0 && buffers.count * 2 >= limit }
}

extension Conversion {
    private enum Step {
        case write(PendingWrites.Write)
        case read(Part, ByteBuffer)
        case wait
    }

    /// Reads, and writes what was read, by turns: one thread writes at a time, since the host's files take one write at a time, and
    /// the others read on meanwhile.
    func copyParts() {
        do throws(DiskImageError) {
            while let step = try nextStep() {
                switch step {
                case .wait: continue
                case .write(let write):
                    for run in write.runs {
                        let bytes = unsafe UnsafeRawBufferPointer(write.buffer.bytes(run))
                        unsafe try target.write(bytes, at: write.offset + UInt64(run.lowerBound))
                    }
                    lock.withLock {
                        pending.hasWriter = false
                        giveBack(write.buffer)
                    }
                    report(UInt64(write.byteCount))
                case .read(.zero(let offset, let byteCount), let buffer):
                    lock.withLock { giveBack(buffer) }
                    try target.writeZeroes(at: offset, byteCount: byteCount)
                    report(0)
                case .read(.data(let offset, let count), let buffer):
                    unsafe try source.read(into: buffer.bytes(0..<count), at: offset)
                    let runs = try dataRuns(of: buffer, count, offset)
                    lock.withLock {
                        let write = PendingWrites.Write(offset: offset, byteCount: count, buffer: buffer, runs: runs)
                        pending.writes.append(write)
                    }
                }
            }
        } catch { fail(error) }
    }

    /// The lock is held.
    private func giveBack(_ buffer: ByteBuffer) {
        pending.giveBack(buffer)
        if pending.isWorthWaking { condition.wakeAll() }
    }

    /// Nil where nothing is left for this thread.
    private func nextStep() throws(DiskImageError) -> Step? {
        try lock.withLock { () throws(DiskImageError) -> Step? in
            guard failure == nil else { return nil }
            if !pending.hasWriter, !pending.writes.isEmpty {
                pending.hasWriter = true
                return .write(pending.writes.removeFirst())
            }
            guard let buffer = pending.takeBuffer() else {
                pending.waiterCount += 1
                condition.wait(in: lock)
                pending.waiterCount -= 1
                return .wait
            }
            if let part = try next() { return .read(part, buffer) }
            giveBack(buffer)
            // Whoever reads or writes now goes on until all is written.
            return nil
        }
    }

    /// What is not zeros in a part that was read; the zeros are told to the target.
    private func dataRuns(
        of buffer: ByteBuffer,
        _ count: Int,
        _ offset: UInt64
    ) throws(DiskImageError) -> [Range<Int>] {
        let hole = target.holeByteCount
        var runs: [Range<Int>] = []
        var place = 0
        var start = 0
        var isZero = false
        func end(_ place: Int) throws(DiskImageError) {
            guard start < place else { return }
            if isZero {
                try target.writeZeroes(at: offset + UInt64(start), byteCount: UInt64(place - start))
            } else {
                runs.append(start..<place)
            }
            start = place
        }
        while place < count {
            let step = min(hole, count - place)
            let now = unsafe UnsafeRawBufferPointer(buffer.bytes(place..<place + step)).isZero
            if now != isZero {
                try end(place)
                isZero = now
            }
            place += step
        }
        try end(count)
        return runs
    }
}
