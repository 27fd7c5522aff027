public import Engine
internal import Glibc
internal import GuestMemory
internal import Synchronization
internal import SystemCalls

/// The log of `--trace`: a line an event, `processor class what`, written in large pieces.
public final class MachineTrace: TraceSink {
    public let events: TraceEvents
    private let descriptor: CInt
    private let lines = Mutex<[UInt8]>([])

    /// Opens the file, if one is named.
    public init(_ configuration: TraceConfiguration) throws(MachineError) {
        events = configuration.events
        guard let path = configuration.path else {
            descriptor = STDERR_FILENO
            return
        }
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, cause: SystemCallError("open", errno: errno)) }
    }

    public func record(_ record: TraceRecord, processor: Int) {
        switch record {
        case .exception(let vector, let errorCode, let rip, let address):
            let code = errorCode.map { " code \(hex($0))" } ?? ""
            let fault = vector == 14 ? " address \(hex(address))" : ""
            log("exception", "\(vector)\(code) at \(hex(rip))\(fault)", processor)
        case .interrupt(let vector, let rip): log("interrupt", "\(hex(vector)) at \(hex(rip))", processor)
        case .block(let rip, let physical): log("block", "\(hex(rip)) physical \(hex(physical))", processor)
        }
    }

    /// Logs what a vCPU returned with, as far as it was asked for; `value` is what a device answered.
    func record(_ exit: VMExit, value: UInt64? = nil, rip: UInt64, processor: Int) {
        let text: String
        switch exit {
        case .portRead(let port, let width):
            text = "in port \(hex(port)) width \(width.rawValue)" + (value.map { " value \(hex($0))" } ?? "")
        case .portWrite(let port, let value, let width):
            text = "out port \(hex(port)) width \(width.rawValue) value \(hex(value))"
        case .memoryRead(let address, let width):
            text = "load \(address) width \(width.rawValue)" + (value.map { " value \(hex($0))" } ?? "")
        case .memoryWrite(let address, let value, let width):
            text = "store \(address) width \(width.rawValue) value \(hex(value))"
        case .halted: text = "halted"
        case .shutdown: text = "shutdown"
        case .interrupted: text = "interrupted"
        case .debug: text = "debug"
        }
        let isAccess = exit.isAccess
        if isAccess, events.contains(.io) {
            log("io", "\(text) at \(hex(rip))", processor)
        } else if events.contains(.exits) {
            log("exit", "\(text) at \(hex(rip))", processor)
        }
    }

    private func log(_ kind: String, _ text: String, _ processor: Int) {
        let full = lines.withLock { lines -> [UInt8]? in
            lines += "cpu\(processor) \(kind) \(text)\n".utf8
            guard lines.count >= 1 << 16 else { return nil }
            defer { lines.removeAll(keepingCapacity: true) }
            return lines
        }
        if let full { write(full) }
    }

    /// Writes what has gathered.
    public func flush() {
        let rest = lines.withLock { lines -> [UInt8] in
            defer { lines = [] }
            return lines
        }
        write(rest)
    }

    private func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

extension VMExit {
    /// A device is to answer.
    var isAccess: Bool {
        switch self {
        case .portRead, .portWrite, .memoryRead, .memoryWrite: true
        case .halted, .shutdown, .interrupted, .debug: false
        }
    }
}

private func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
