internal import Telemetry

// The control socket's language: a request a line, and one JSON object a line as answer.
extension ControlRequest {
    /// Every request, with what it does.
    public static let help: [(usage: String, meaning: String)] = [
        ("status", "whether the machine runs"),
        ("pause", "let vCPUs, devices and time stand still"),
        ("resume", "let them go on, and try a failed disk again at once"),
        ("save FILE", "write the machine to a file, for viv boot --load"),
        ("stats", "counters, as --stats prints them at the end"),
        ("balloon BYTES", "ask the guest to give up so much of its memory"),
        ("power-button", "press the power button"),
        ("reset", "press the reset button"),
        ("quit", "end the machine at once"),
        ("help", "this list"),
    ]

    /// The request that `line` makes; nil for a word that is none.
    public init?(line: String) {
        let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: true)
        let rest = words.count > 1 ? String(words[1].drop { $0 == " " }) : ""
        switch words.first {
        case "save": self = .save(path: rest)
        case "balloon":
            guard let byteCount = UInt64(rest) else { return nil }
            self = .balloon(byteCount: byteCount)
        case "status" where rest.isEmpty: self = .status
        case "pause" where rest.isEmpty: self = .pause
        case "resume" where rest.isEmpty: self = .resume
        case "stats" where rest.isEmpty: self = .stats
        case "power-button" where rest.isEmpty: self = .powerButton
        case "reset" where rest.isEmpty: self = .reset
        case "quit" where rest.isEmpty: self = .quit
        default: return nil
        }
    }
}

extension ControlAnswer {
    /// The answer as one line of JSON.
    public var json: String {
        switch self {
        case .done(let condition): "{\"ok\":true,\(Self.state(condition))}"
        case .saved(let path, let byteCount, let condition):
            "{\"ok\":true,\(Self.state(condition)),\"file\":\(Self.quoted(path)),\"bytes\":\(byteCount)}"
        case .stats(let reports, let condition):
            "{\"ok\":true,\(Self.state(condition)),\"stats\":{"
                + reports.map { report in
                    let rows = report.rows.map { "\(Self.quoted($0.name)):\($0.value)" }
                    return "\(Self.quoted(report.part)):{\(rows.joined(separator: ","))}"
                }.joined(separator: ",") + "}}"
        case .refused(let reason): "{\"ok\":false,\"error\":\(Self.quoted(reason))}"
        }
    }

    /// The answer to `help`.
    static var helpJSON: String {
        let rows = ControlRequest.help.map { "\(quoted($0.usage)):\(quoted($0.meaning))" }
        return "{\"ok\":true,\"commands\":{\(rows.joined(separator: ","))}}"
    }

    private static func state(_ condition: MachineCondition) -> String { "\"state\":\"\(condition.rawValue)\"" }

    /// A JSON string (RFC 8259 §7).
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
