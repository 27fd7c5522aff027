public import ArgumentParser

/// A size given on the command line: `512M`, `2G`, `1024K`, or a number of MiB.
public struct ByteCount: Hashable, Sendable {
    public let bytes: Int

    public init(bytes: Int) { self.bytes = bytes }

    /// Reads digits and one of the suffixes K M G T, which are powers of 1024.
    ///
    /// `B`, `iB` and small letters are accepted; without a suffix the number counts MiB. Nil where it is none of these, or more
    /// than 2^63 - 1 bytes.
    public init?(parsing text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, let number = Int(digits) else { return nil }
        let shift: Int
        switch text.dropFirst(digits.count).lowercased() {
        case "k", "kb", "kib": shift = 10
        case "", "m", "mb", "mib": shift = 20
        case "g", "gb", "gib": shift = 30
        case "t", "tb", "tib": shift = 40
        default: return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflow else { return nil }
        bytes = product
    }
}

extension ByteCount: ExpressibleByArgument {
    public init?(argument: String) { self.init(parsing: argument) }
    public var defaultValueDescription: String { description }
}

extension ByteCount: CustomStringConvertible {
    /// The size with the largest suffix that divides it.
    public var description: String {
        for (shift, suffix) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")]
        where bytes > 0 && bytes.isMultiple(of: 1 << shift) { return "\(bytes >> shift)\(suffix)" }
        return "\(bytes)B"
    }
}
