/// The words of a command line, taken as runc's users write them: `--name value`, `--name=value`, `-n value`, flags, then operands.
struct Words {
    private var rest: ArraySlice<String>
    private(set) var operands: [String] = []
    private var values: [String: [String]] = [:]

    /// An option: its names, and whether a value follows.
    struct Option {
        let names: [String]
        let takesValue: Bool

        init(_ names: String..., takesValue: Bool = true) {
            self.names = names
            self.takesValue = takesValue
        }
        static func flag(_ names: String...) -> Option { Option(names: names, takesValue: false) }
        private init(names: [String], takesValue: Bool) {
            self.names = names
            self.takesValue = takesValue
        }
    }

    /// Reads options up to the first operand, or with `mixes` wherever they stand.
    init(_ words: ArraySlice<String>, _ options: [Option], mixes: Bool = false) throws(UsageError) {
        rest = words
        while let word = rest.popFirst() {
            if word == "--" {
                operands += rest
                rest = []
            } else if word.hasPrefix("-"), word != "-" {
                try take(word, options)
            } else {
                operands.append(word)
                if !mixes {
                    operands += rest
                    rest = []
                }
            }
        }
    }

    private mutating func take(_ word: String, _ options: [Option]) throws(UsageError) {
        var name = String(word.drop { $0 == "-" })
        var value: String?
        if let equals = name.firstIndex(of: "=") {
            value = String(name[name.index(after: equals)...])
            name = String(name[..<equals])
        }
        if let option = options.first(where: { $0.names.contains(name) }) {
            return try store(option, name, value)
        }
        // Flags of one letter may be written together: -it.
        let letters = name.map { String($0) }
        let known = letters.compactMap { letter in options.first { $0.names.contains(letter) } }
        guard word.hasPrefix("-"), !word.hasPrefix("--"), value == nil, !letters.isEmpty, known.count == letters.count,
            known.dropLast().allSatisfy({ !$0.takesValue })
        else { throw UsageError("flag provided but not defined: \(word)") }
        for (option, letter) in zip(known, letters) { try store(option, letter, nil) }
    }

    private mutating func store(_ option: Option, _ name: String, _ given: String?) throws(UsageError) {
        var value = given
        if option.takesValue, value == nil {
            guard let next = rest.popFirst() else { throw UsageError("flag needs an argument: --\(name)") }
            value = next
        }
        values[option.names[0], default: []].append(value ?? "true")
    }

    func value(_ name: String) -> String? { values[name]?.last }
    func all(_ name: String) -> [String] { values[name] ?? [] }
    func flag(_ name: String) -> Bool { values[name].map { $0.last != "false" } ?? false }

    /// The operands, of which there have to be so many.
    func operands(_ names: String...) throws(UsageError) -> [String] {
        guard operands.count == names.count else {
            throw UsageError(
                operands.count < names.count
                    ? "\(names[operands.count]) is missing" : "too many arguments: '\(operands[names.count])'"
            )
        }
        return operands
    }
}

/// A command line that is not understood.
struct UsageError: Error {
    let text: String

    init(_ text: String) { self.text = text }
}
