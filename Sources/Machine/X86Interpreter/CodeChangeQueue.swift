import GuestMemory
import Synchronization

/// The writes of devices to pages that hold decoded code, from the devices' threads to the thread that runs the vCPUs.
///
/// A device tells its driver of a finished transfer after its writes were entered here, so the vCPU sees the change before it can
/// take the interrupt. Holds neither the memory nor the vCPUs, which hold it.
final class CodeChangeQueue: CodeObserver {
    /// `byteCount` bytes at `address` were changed.
    struct Change {
        var address: GuestAddress
        var byteCount: Int
    }

    private struct Member {
        weak var cpu: Interpreter?
    }

    private struct Content {
        var changes: [Change] = []
        var members: [Member] = []
    }

    private let content = Mutex(Content())

    /// From now on `cpu` is told that there are changes.
    func add(_ cpu: Interpreter) { content.withLock { $0.members.append(Member(cpu: cpu)) } }

    func memoryChanged(at address: GuestAddress, byteCount: Int) {
        let members = content.withLock { content -> [Member] in
            content.changes.append(Change(address: address, byteCount: byteCount))
            return content.members
        }
        for member in members { member.cpu?.noteCodeChanges() }
    }

    /// Every change since the last call, oldest first.
    func takeAll() -> [Change] {
        content.withLock { content in
            defer { content.changes.removeAll() }
            return content.changes
        }
    }
}
