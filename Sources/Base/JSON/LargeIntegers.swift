/// Integers that the library has no type for, which pass through it as strings with a mark before them.
struct LargeIntegers {
    /// A text that the library reads: integers above its own are marked strings, those beyond 64 bits reals.
    private(set) var text: [UInt8] = []

    /// No character (Unicode 23.7), so that texts do not start with it.
    private static let mark = "\u{FFFF}"

    static func marked(_ number: UInt64) -> String { "\(mark)\(number)" }

    static func number(marked text: String) -> UInt64? {
        guard text.hasPrefix(mark), let number = UInt64(text.dropFirst()), number > UInt64(Int64.max) else {
            return nil
        }
        return number
    }

    /// What the library has written with its marked strings as numbers.
    static func unmarked(_ text: String) -> String {
        let start = Array("\"\(mark)".utf8)
        let quote = UInt8(ascii: "\"")
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let first = rest.first {
            if first == quote, rest.starts(with: start) {
                let digits = rest.dropFirst(start.count).prefix { $0 != quote }
                if number(marked: mark + String(decoding: digits, as: UTF8.self)) != nil {
                    result += digits
                    rest = rest[digits.endIndex...].dropFirst()
                    continue
                }
            }
            result.append(first)
            rest = rest.dropFirst()
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// Rewrites what is a number outside of strings; whatever else is in `bytes` stays, right or wrong.
    init(in bytes: [UInt8]) {
        var place = 0
        while place < bytes.count {
            let byte = bytes[place]
            switch byte {
            case UInt8(ascii: "\""):
                let start = place
                place += 1
                while place < bytes.count, bytes[place] != byte { place += bytes[place] == UInt8(ascii: "\\") ? 2 : 1 }
                place = min(place + 1, bytes.count)
                text += bytes[start..<place]
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                let number = bytes[place...].prefix { Self.isOfNumbers($0) }
                place = number.endIndex
                rewrite(number)
            default:
                text.append(byte)
                place += 1
            }
        }
    }

    private mutating func rewrite(_ number: ArraySlice<UInt8>) {
        let digits = String(decoding: number, as: UTF8.self)
        let isWhole = number.dropFirst().allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        // A number that starts with 0 is shorter, or wrong.
        if !isWhole || number.first == UInt8(ascii: "0") || Int64(digits) != nil {
            text += number
        } else if let large = UInt64(digits) {
            text += Array("\"\(Self.marked(large))\"".utf8)
        } else {
            text += number + Array(".0".utf8)
        }
    }

    private static func isOfNumbers(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }
}
