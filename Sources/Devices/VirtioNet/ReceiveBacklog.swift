internal import NetworkFrames

/// Frames that wait for buffers of the guest's, and which queue pair they are for.
struct ReceiveBacklog {
    /// The most that waits for one queue pair; what comes on top of it is lost.
    static let byteLimit = 4 << 20
    /// Above this a backend is asked to hold on.
    static let byteMark = 1 << 20

    private var frames: [[Frame]]
    private var byteCounts: [Int]
    /// By flow: the pair that the guest sent from last (§5.1.6.5.5, automatic receive steering).
    private var steering = [UInt8](repeating: 0, count: 256)

    init(pairCount: Int) {
        frames = Array(repeating: [], count: pairCount)
        byteCounts = Array(repeating: 0, count: pairCount)
    }

    var isAboveMark: Bool { byteCounts.contains { $0 > Self.byteMark } }

    /// The guest sent a frame of this flow from `pair`.
    mutating func steer(_ flow: UInt32, to pair: Int) { steering[Int(flow >> 24)] = UInt8(truncatingIfNeeded: pair) }

    func pair(for frame: Frame, activePairCount: Int) -> Int {
        activePairCount == 1 ? 0 : min(Int(steering[Int(frame.flowHash >> 24)]), activePairCount - 1)
    }

    /// - Returns: False where the frame is lost.
    mutating func append(_ frame: Frame, to pair: Int) -> Bool {
        guard frames.indices.contains(pair), byteCounts[pair] + frame.bytes.count <= Self.byteLimit else {
            return false
        }
        frames[pair].append(frame)
        byteCounts[pair] += frame.bytes.count
        return true
    }

    /// All frames for a pair.
    mutating func take(_ pair: Int) -> [Frame] {
        guard frames.indices.contains(pair) else { return [] }
        defer {
            frames[pair] = []
            byteCounts[pair] = 0
        }
        return frames[pair]
    }
}
