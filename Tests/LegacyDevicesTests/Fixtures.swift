import DeviceModel
import GuestMemory
import LegacyDevices
import Synchronization

/// Records the levels that a device sets a wire to.
final class RecordingLine: Sendable {
    private struct State {
        var level = false
        var risingEdges = 0
    }

    private let state = Mutex(State())
    var level: Bool { state.withLock { $0.level } }
    var risingEdges: Int { state.withLock { $0.risingEdges } }

    var line: InterruptLine {
        InterruptLine { [self] level in
            state.withLock { state in
                if level, !state.level { state.risingEdges += 1 }
                state.level = level
            }
        }
    }
}

/// Records what devices ask of the machine.
final class RecordingMachine: MachineRequestSink {
    private let log = Mutex<[MachineRequest]>([])
    var requests: [MachineRequest] { log.withLock { $0 } }
    func request(_ request: MachineRequest) { log.withLock { $0.append(request) } }
}

/// Records output, a batch at a time.
final class RecordingOutput: SerialOutput {
    private let log = Mutex<[[UInt8]]>([])
    var batches: [[UInt8]] { log.withLock { $0 } }
    var text: String { String(decoding: batches.flatMap { $0 }, as: UTF8.self) }
    func write(_ bytes: [UInt8]) { log.withLock { $0.append(bytes) } }
}

extension BusDevice {
    func readByte(_ offset: UInt64 = 0) -> UInt8 { UInt8(truncatingIfNeeded: read(at: offset, width: .byte)) }
    func writeByte(_ value: UInt8, _ offset: UInt64 = 0) { write(UInt64(value), at: offset, width: .byte) }
}
