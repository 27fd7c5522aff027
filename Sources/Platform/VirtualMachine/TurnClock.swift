internal import Glibc
internal import Synchronization
internal import SystemCalls

/// Ends the turn of the running vCPU every few milliseconds, for engines whose turns do not end by themselves.
final class TurnClock: Sendable {
    private let isStopped = Atomic(false)

    /// How long a turn may take, in microseconds.
    private static let turn: UInt32 = 2000

    func start(_ control: MachineControl) throws(SystemCallError) {
        try HostThread.start { [self] in
            while !isStopped.load(ordering: .relaxed) {
                usleep(Self.turn)
                control.endTurn()
            }
        }
    }

    /// The clock ticks at most once more.
    func stop() { isStopped.store(true, ordering: .relaxed) }
}
