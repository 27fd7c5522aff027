/// A part of a machine whose state can be put away and taken up again.
///
/// Both are called while the machine is paused: no vCPU runs, no timer fires, and nothing is under way in the part itself.
public protocol Saveable: AnyObject, Sendable {
    /// What messages and, with its place in the machine, the section of the file call it, such as `pit`.
    var stateName: String { get }
    /// Raised with every change of what ``save(into:)`` writes; ``load(from:)`` is asked for this version alone.
    var stateVersion: UInt16 { get }
    /// - Throws: ``StateFault/cannotSave(_:)`` where the state is not only the machine's.
    func save(into encoder: inout StateEncoder) throws(StateFault)
    /// Takes the state over, in a part that was just made; the fields come from a file that anybody may have written.
    ///
    /// Nothing is started before the whole machine was loaded. A part that threw is not used again.
    func load(from decoder: inout StateDecoder) throws(StateFault)
}

/// A part that does work on threads of its own.
public protocol Pausable: AnyObject, Sendable {
    /// Returns when nothing is under way; nothing starts before ``resume()``.
    func pause()
    func resume()
}
