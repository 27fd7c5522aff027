import SystemCalls

/// Memory for generated host code: one memory file mapped twice, read-write and read-execute, so that no mapping is ever
/// both writable and executable.
///
/// Code is appended and never moves. Not thread-safe: the owner serialises ``append(alignment:_:)`` and ``reset()``;
/// finished code may run on any thread.
public final class CodeBuffer {
    private let mappings: CodeMappings
    public let byteCount: Int
    public private(set) var usedByteCount = 0

    /// `byteCount`: The capacity, a positive multiple of the page size. `isAnonymous`: Without a memory file, which `perf` takes for
    /// one with symbols of its own; also what is done where the host has no executable memory files.
    public init(byteCount: Int, isAnonymous: Bool = false) throws(HostCodeError) {
        self.byteCount = byteCount
        do throws(SystemCallError) {
            mappings = try CodeMappings.make(byteCount: byteCount, isAnonymous: isAnonymous)
        } catch {
            throw .mapping(byteCount: byteCount, cause: error)
        }
    }

    /// The first byte of the mapping that is written through.
    public var writableBase: UnsafeMutableRawPointer { mappings.writable.base }
    /// The first byte of the mapping that runs.
    public var executableBase: UnsafeMutableRawPointer { mappings.executable.base }

    /// Appends what `body` assembles.
    ///
    /// `alignment`: Of the first byte; a power of two.
    ///
    /// Throws ``HostCodeError/full(byteCount:)``; the buffer is then as before.
    public func append(alignment: Int = 16, _ body: (inout Assembler) -> Void) throws(HostCodeError) -> HostCodeAddress
    {
        let start = (usedByteCount + alignment - 1) & ~(alignment - 1)
        guard start < byteCount else { throw .full(byteCount: byteCount) }
        var assembler = Assembler(
            cursor: writableBase + start,
            limit: writableBase + byteCount,
            executableOffset: executableBase - writableBase
        )
        body(&assembler)
        guard !assembler.isFull else { throw .full(byteCount: byteCount) }
        usedByteCount = assembler.cursor - writableBase
        return HostCodeAddress(executableBase + start)
    }

    /// Gives every byte back.
    ///
    /// Nothing may run in the buffer, and nothing may keep an address of it.
    public func reset() { usedByteCount = 0 }

    /// Gives back everything that was appended when ``usedByteCount`` was `mark` or more; the same conditions.
    public func reset(to mark: Int) { usedByteCount = min(usedByteCount, max(0, mark)) }
}

/// The two mappings of a ``CodeBuffer``.
private struct CodeMappings: ~Copyable {
    let writable: HostMapping
    let executable: HostMapping

    static func make(byteCount: Int, isAnonymous: Bool) throws(SystemCallError) -> CodeMappings {
        if !isAnonymous {
            do throws(SystemCallError) { return try makeFile(byteCount) } catch {}
        }
        let writable = try HostMapping(sharedAnonymous: byteCount)
        let executable = try HostMapping(aliasing: writable, access: .readExecute)
        return CodeMappings(writable: writable, executable: executable)
    }

    private static func makeFile(_ byteCount: Int) throws(SystemCallError) -> CodeMappings {
        let file = try FileDescriptor(memory: "vivarium-code", byteCount: byteCount)
        let writable = try HostMapping(sharing: file, byteCount: byteCount, access: .readWrite)
        let executable = try HostMapping(sharing: file, byteCount: byteCount, access: .readExecute)
        return CodeMappings(writable: writable, executable: executable)
    }
}

/// The address of a generated function that takes one pointer and returns nothing, by the System V calling convention.
@frozen
public struct HostCodeAddress: Hashable, Sendable {
    /// 0 is no code.
    public let rawValue: UInt

    @inlinable public init(rawValue: UInt) { self.rawValue = rawValue }
    @inlinable public init(_ pointer: UnsafeRawPointer) { rawValue = UInt(bitPattern: pointer) }

    /// Calls the code.
    ///
    /// It must be finished, in a live ``CodeBuffer``, and not 0.
    @inlinable @inline(__always)
    public func call(_ argument: UnsafeMutableRawPointer) {
        // SAFETY: the address is of code assembled for this signature; function pointers and addresses have one representation.
        unsafeBitCast(rawValue, to: (@convention(c) (UnsafeMutableRawPointer) -> Void).self)(argument)
    }
}
