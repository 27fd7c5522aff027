public import DiskImage
internal import Glibc
internal import SystemCalls

/// What becomes of a request that the host's disk cannot carry out.
public enum DiskFailureReaction: String, Hashable, Sendable, CaseIterable {
    /// A full disk (ENOSPC, EDQUOT) holds the guest until there is room; other failures are I/O errors to the guest.
    case automatic = "auto"
    /// Every failure of the host holds the guest until the request succeeds.
    case pause
    /// Every failure is an I/O error to the guest.
    case report
    /// Every failure holds the request alone, until it succeeds; the guest runs on.
    case retry
}

/// A request that failed for a reason of the host's.
public struct DiskFailure: Error, Hashable, Sendable {
    public let disk: String
    /// What was to be done, such as `write`.
    public let operation: String
    /// Where on the guest's disk, in bytes.
    public let offset: UInt64
    public let byteCount: UInt64
    public let cause: DiskImageError

    /// Whether the host has no room left, rather than a disk that is broken.
    public var isFull: Bool {
        if case .failed(_, let cause) = cause { cause.errno == ENOSPC || cause.errno == EDQUOT } else { false }
    }
    /// Whether the host may carry out the same request later.
    ///
    /// A refused `fdatasync` is never repeated: the kernel has forgotten which pages it could not write, and the next call
    /// would promise what is not so.
    var mayBeTriedAgain: Bool {
        if case .failed(_, let cause) = cause { cause.call != "fdatasync" } else { false }
    }
}

extension DiskFailure: CustomStringConvertible {
    public var description: String {
        let place = byteCount > 0 ? " \(byteCount) bytes at \(offset)" : ""
        return "\(disk): cannot \(operation)\(place): \(cause)"
    }
}

/// How a block device deals with the host's failures, and whom it tells.
public struct DiskFailurePolicy: Sendable {
    public enum Event: Hashable, Sendable {
        /// The first of some requests is held. `pausesGuest`: The guest is to stand still until ``released(disk:)``.
        case held(DiskFailure, pausesGuest: Bool)
        /// Every request that was held has been carried out, or given up after ``abandoned(disk:count:)``.
        case released(disk: String)
        /// The guest was told of an I/O error; only the first few of a disk are told here.
        case reported(DiskFailure)
        /// The device was reset while so many requests were held.
        case abandoned(disk: String, count: Int)
    }

    public var reaction: DiskFailureReaction
    /// Nanoseconds of the host's clock between two attempts.
    public var retryInterval: UInt64
    /// Called on a thread of the device, one call at a time; may pause the machine, but not wait for the device.
    public var tell: @Sendable (Event) -> Void

    public init(
        _ reaction: DiskFailureReaction = .automatic,
        retryInterval: UInt64 = 1_000_000_000,
        tell: @escaping @Sendable (Event) -> Void = { _ in }
    ) {
        self.reaction = reaction
        self.retryInterval = retryInterval
        self.tell = tell
    }

    func holds(_ failure: DiskFailure) -> Bool {
        switch reaction {
        case .automatic: failure.isFull && failure.mayBeTriedAgain
        case .pause, .retry: failure.mayBeTriedAgain
        case .report: false
        }
    }
    var pausesGuest: Bool { reaction == .automatic || reaction == .pause }
}
