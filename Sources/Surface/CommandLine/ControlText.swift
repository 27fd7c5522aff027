/// The answer of a control socket, which is one JSON object, as lines for people: a name and a value each.
struct ControlText {
    /// The value of `error`, if the machine refused.
    private(set) var error: String?
    private(set) var lines: [String] = []
    private var rest: Substring

    init(_ json: String) {
        rest = json[...]
        readObject("")
    }

    private mutating func readObject(_ owner: String) {
        guard take("{") else { return }
        while !rest.isEmpty, !take("}") {
            guard rest.first == "\"" else { return }
            let name = readString()
            guard take(":") else { return }
            let path = owner.isEmpty ? name : owner + "  " + name
            if rest.first == "{" {
                readObject(name == "stats" || name == "commands" ? "" : path)
            } else {
                let value = rest.first == "\"" ? readString() : readWord()
                if owner.isEmpty, name == "error" { error = value }
                if path != "ok" { lines.append("\(path)  \(value)") }
            }
            _ = take(",")
        }
    }

    private mutating func take(_ character: Character) -> Bool {
        guard rest.first == character else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func readWord() -> String {
        let word = rest.prefix { $0 != "," && $0 != "}" }
        rest = rest.dropFirst(word.count)
        return String(word)
    }

    private mutating func readString() -> String {
        var text = ""
        guard take("\"") else { return text }
        while let character = rest.popFirst(), character != "\"" {
            guard character == "\\", let escaped = rest.popFirst() else {
                text.append(character)
                continue
            }
            switch escaped {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "r": text.append("\r")
            case "u":
                let digits = rest.prefix(4)
                rest = rest.dropFirst(digits.count)
                if let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) {
                    text.unicodeScalars.append(scalar)
                }
            default: text.append(escaped)
            }
        }
        return text
    }
}
