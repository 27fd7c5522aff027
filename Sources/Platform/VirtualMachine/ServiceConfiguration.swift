/// What connects a guest with its host beside disks, network and console.
public struct ServiceConfiguration: Hashable, Sendable {
    public var socket: GuestSocketConfiguration?
    public var balloon: BalloonConfiguration?
    public var folders: [SharedFolderConfiguration] = []

    public init() {}
}

/// A virtio socket device: streams between the guest's ports and Unix sockets of the host's.
public struct GuestSocketConfiguration: Hashable, Sendable {
    /// The listening socket; guests' connections to port P go to `path_P`.
    public var path: String
    /// The guest's address.
    public var guestCID: UInt64

    public init(path: String, guestCID: UInt64 = 3) {
        self.path = path
        self.guestCID = guestCID
    }
}

/// A memory balloon, which also takes the guest's reports of free memory.
public struct BalloonConfiguration: Hashable, Sendable {
    /// What the balloon takes of the guest's memory at first.
    public var byteCount: UInt64

    public init(byteCount: UInt64 = 0) { self.byteCount = byteCount }
}

extension BalloonConfiguration: CustomStringConvertible {
    public var description: String { "\(byteCount >> 20)M" }
}

/// A folder of the host's that the guest may mount (virtio-fs).
public struct SharedFolderConfiguration: Hashable, Sendable {
    public var path: String
    /// What the guest mounts it by: 1 to 36 bytes.
    public var tag: String
    public var isReadOnly: Bool

    public init(path: String, tag: String = "share", isReadOnly: Bool = false) {
        self.path = path
        self.tag = tag
        self.isReadOnly = isReadOnly
    }
}
