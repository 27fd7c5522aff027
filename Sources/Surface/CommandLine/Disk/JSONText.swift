/// A JSON value, printed as qemu-img prints it: four spaces a level.
indirect enum JSONText {
    case text(String)
    case number(Int64)
    case boolean(Bool)
    case list([JSONText])
    case object([(String, JSONText)])

    static func count(_ value: UInt64) -> JSONText { .number(Int64(clamping: value)) }

    func encoded(indent: Int = 0) -> String {
        let inner = String(repeating: " ", count: indent + 4)
        let outer = String(repeating: " ", count: indent)
        switch self {
        case .text(let text): return Self.quoted(text)
        case .number(let number): return "\(number)"
        case .boolean(let value): return value ? "true" : "false"
        case .list(let items):
            if items.isEmpty { return "[\n\(outer)]" }
            let lines = items.map { inner + $0.encoded(indent: indent + 4) }
            return "[\n" + lines.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let fields):
            let lines = fields.map { inner + Self.quoted($0.0) + ": " + $0.1.encoded(indent: indent + 4) }
            return "{\n" + lines.joined(separator: ",\n") + "\n\(outer)}"
        }
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
