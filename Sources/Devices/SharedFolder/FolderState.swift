internal import Glibc
internal import SystemCalls

/// All that the server remembers between two requests: the inodes that the guest knows, and what it has open.
struct FolderState {
    private struct Known {
        let node: FolderNode
        /// How often the guest was told of it, less what it has forgotten.
        var lookups: UInt64
    }

    /// How many of each there may be.
    let nodeLimit: Int
    let handleLimit: Int
    private let root: FolderNode
    private var nodes: [UInt64: Known] = [:]
    private var identifiers: [FolderNode.Key: UInt64] = [:]
    private var handles: [UInt64: FolderHandle] = [:]
    /// Identifiers are never used twice.
    private var nextNode = FolderNode.rootID + 1
    private var nextHandle: UInt64 = 1

    init(root: FolderNode, descriptorLimit: Int) {
        self.root = root
        nodeLimit = max(16, descriptorLimit / 4 * 3)
        handleLimit = max(16, descriptorLimit / 4)
    }

    /// A driver has mounted the folder.
    var isMounted = false

    var nodeCount: Int { nodes.count }
    var handleCount: Int { handles.count }

    // MARK: Nodes

    func node(_ id: UInt64) throws(FUSEError) -> FolderNode {
        if id == FolderNode.rootID { return root }
        guard let known = nodes[id] else { throw FUSEError(ESTALE) }
        return known.node
    }

    /// The node of an inode, counted as told to the guest once more; `file` is closed where it is known already.
    ///
    /// - Throws: `ENFILE` where the guest knows as many as it may.
    mutating func intern(_ file: consuming FileDescriptor, _ status: stat) throws(FUSEError) -> UInt64 {
        let key = FolderNode.Key(status)
        // A folder that was moved above the root, or mounted into itself.
        if key == root.key { return root.id }
        if let id = identifiers[key] {
            nodes[id]?.lookups &+= 1
            return id
        }
        guard nodes.count < nodeLimit else { throw FUSEError(ENFILE) }
        let id = nextNode
        nextNode += 1
        nodes[id] = Known(node: FolderNode(id: id, status: status, file: file), lookups: 1)
        identifiers[key] = id
        return id
    }

    mutating func forget(_ id: UInt64, lookups: UInt64) {
        guard let known = nodes[id] else { return }
        guard known.lookups > lookups else {
            nodes[id] = nil
            identifiers[known.node.key] = nil
            return
        }
        nodes[id]?.lookups -= lookups
    }

    // MARK: Handles

    /// - Throws: `EMFILE` where the guest has as many open as it may.
    mutating func add(_ handle: FolderHandle) throws(FUSEError) -> UInt64 {
        guard handles.count < handleLimit else { throw FUSEError(EMFILE) }
        let id = nextHandle
        nextHandle += 1
        handles[id] = handle
        return id
    }

    func handle(_ id: UInt64, isDirectory: Bool = false) throws(FUSEError) -> FolderHandle {
        guard let handle = handles[id], handle.isDirectory == isDirectory else { throw FUSEError(EBADF) }
        return handle
    }

    mutating func release(_ id: UInt64) { handles[id] = nil }

    /// Forgets everything but the root.
    mutating func clear() {
        nodes = [:]
        identifiers = [:]
        handles = [:]
        isMounted = false
    }
}
