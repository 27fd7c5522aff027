/// A wire from a device to an interrupt controller: a value that a device keeps, whatever is at the other end.
///
/// Level semantics: the controller decides whether it looks at edges or levels.
public struct InterruptLine: Sendable {
    private let setLevel: @Sendable (Bool) -> Void

    /// - Parameter setLevel: Called with the new level, on any thread, possibly with the same level again.
    public init(_ setLevel: @escaping @Sendable (Bool) -> Void) { self.setLevel = setLevel }

    /// A wire that ends nowhere.
    public static let unconnected = InterruptLine { _ in }

    public func set(_ level: Bool) { setLevel(level) }
    /// Up and down again: an edge.
    public func pulse() {
        setLevel(true)
        setLevel(false)
    }

    /// Brings the wire to the level that the device's state asks for.
    ///
    /// Call it after a change, without the device's lock. When several threads change the state at once, the last level set
    /// is that of the last change: each looks again after it has set the wire.
    public func follow(_ level: () -> Bool) {
        var wanted = level()
        while true {
            setLevel(wanted)
            let current = level()
            if current == wanted { return }
            wanted = current
        }
    }
}

/// A message-signalled interrupt: the write that a device makes (SDM 3A §10.11; PCI 3.0 §6.8).
public struct MSI: Hashable, Sendable {
    public var address: UInt64
    public var data: UInt32

    public init(address: UInt64, data: UInt32) {
        self.address = address
        self.data = data
    }
}

/// Where message-signalled interrupts are delivered.
public protocol MSISink: AnyObject, Sendable {
    func deliver(_ message: MSI)
}
