import HostCode
import SystemCalls

/// The host stubs of a machine and the plans that lead to them.
///
/// Used only by the thread that runs the machine's vCPUs.
final class VectorStubs {
    private let buffer: CodeBuffer
    private var plans: [VectorStubKey: UnsafeMutablePointer<VectorPlan>] = [:]

    static let byteCount = 8 << 20
    /// Plans beyond this make the owner start afresh.
    static let planLimit = 1 << 16
    /// Room for one block's stubs at their longest.
    private static let reserve = 64 << 10

    init() throws(SystemCallError) {
        do throws(HostCodeError) {
            buffer = try CodeBuffer(byteCount: Self.byteCount)
        } catch {
            switch error {
            case .mapping(_, let cause): throw cause
            case .full: throw SystemCallError("mmap", errno: 12)
            }
        }
    }

    deinit { removeAll() }

    /// Whether the next block might not find room.
    ///
    /// The owner then forgets every decoded block and calls ``removeAll()``.
    var isNearlyFull: Bool { buffer.usedByteCount > Self.byteCount - Self.reserve || plans.count > Self.planLimit - 64 }

    func removeAll() {
        for plan in plans.values { plan.deallocate() }
        plans.removeAll()
        buffer.reset()
    }

    /// The plan for `key`, made by `make` if it is new.
    ///
    /// Lives until ``removeAll()``.
    func plan(_ key: VectorStubKey, _ make: (CodeBuffer) -> VectorPlan) -> UnsafeMutablePointer<VectorPlan> {
        if let plan = plans[key] { return plan }
        let plan = UnsafeMutablePointer<VectorPlan>.allocate(capacity: 1)
        plan.initialize(to: make(buffer))
        plans[key] = plan
        return plan
    }
}

/// What tells plans apart: the encoding without its address, and the row that the decoder found.
struct VectorStubKey: Hashable {
    var encoding: VectorEncoding
    var row: UInt16
    var memoryByteCount: UInt8
    var isLong: Bool

    init(encoding: VectorEncoding, row: UInt16, memoryByteCount: UInt8, isLong: Bool) {
        var encoding = encoding
        // The address is computed elsewhere: any memory operand is the same.
        if encoding.isMemory {
            encoding.modRM &= 0x38
            encoding.rm = 0
        }
        self.encoding = encoding
        self.row = row
        self.memoryByteCount = memoryByteCount
        self.isLong = isLong
    }
}
