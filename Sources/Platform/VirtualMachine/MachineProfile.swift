public import Engine
internal import Synchronization

/// Counts where a guest was seen, and prints it as a table and as folded stacks.
public final class MachineProfile: ProfileSink {
    private struct Counts {
        var samples: [ProfileSample: Int] = [:]
        var total = 0
        var lost: UInt64 = 0
    }

    public let rate: Int
    private let counts = Mutex(Counts())

    /// `rate`: Samples a second; not a divisor of the guest's own timer frequency, so that it is not seen only in its ticks.
    public init(rate: Int = 997) { self.rate = rate }

    public func record(_ sample: ProfileSample) {
        counts.withLock {
            $0.samples[sample, default: 0] += 1
            $0.total += 1
        }
    }

    public func noteLost(_ count: UInt64) { counts.withLock { $0.lost += count } }

    /// The report as far as samples were taken.
    public func report(symbols: SymbolTable? = nil) -> ProfileReport {
        counts.withLock { ProfileReport(samples: $0.samples, lost: $0.lost, symbols: symbols) }
    }
}

/// A profile with its names.
public struct ProfileReport: Sendable {
    private let samples: [ProfileSample: Int]
    private let lost: UInt64
    private let symbols: SymbolTable?

    init(samples: [ProfileSample: Int], lost: UInt64, symbols: SymbolTable?) {
        self.samples = samples
        self.lost = lost
        self.symbols = symbols
    }

    public var sampleCount: Int { samples.values.reduce(0, +) }

    /// A line for each stack, outermost frame first, for flame graphs: names separated by semicolons, then how often it was seen.
    ///
    /// The first frame is the mode, and the last what the engine did unless it ran the guest's translated code.
    public var foldedStacks: String {
        var lines: [String: Int] = [:]
        for (sample, count) in samples {
            var frames = sample.stack.reversed().map { name($0) }
            if let leaf = sample.stack.first { frames.insert(Self.mode(leaf), at: 0) }
            if sample.activity != "translated code" { frames.append("[\(sample.activity)]") }
            lines[frames.joined(separator: ";"), default: 0] += count
        }
        return lines.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)\n" }.joined()
    }

    /// The `limit` hottest functions and addresses, and what the engine did, as aligned text.
    public func table(limit: Int = 20) -> String {
        var activities: [String: Int] = [:]
        var functions: [String: Int] = [:]
        var addresses: [String: Int] = [:]
        for (sample, count) in samples {
            activities[sample.activity, default: 0] += count
            guard let leaf = sample.stack.first else { continue }
            let mode = Self.mode(leaf)
            functions["\(mode)  \(name(leaf))", default: 0] += count
            addresses["\(mode)  \(place(leaf))", default: 0] += count
        }
        var text = "profile: \(sampleCount) samples"
        if lost > 0 { text += ", \(lost) lost" }
        if let slide = symbols?.slide, slide != 0 { text += ", kernel moved by 0x\(String(slide, radix: 16))" }
        text += "\n" + section("what the engine did", activities, limit)
        let kind = symbols == nil ? "page" : "function"
        text += section("hot guest code by \(kind)", functions, limit)
        text += section("hot guest addresses", addresses, limit)
        return text
    }

    private func section(_ title: String, _ counts: [String: Int], _ limit: Int) -> String {
        let total = max(1, sampleCount)
        let rows = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(limit)
        let width = String(rows.first?.value ?? 0).count
        return rows.reduce("profile: \(title)\n") { text, row in
            let tenths = (row.value * 1000 + total / 2) / total
            let share = "\(tenths / 10).\(tenths % 10)"
            let count = String(row.value)
            return text + Self.padded(share, 7) + " %  " + Self.padded(count, width) + "  \(row.key)\n"
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func mode(_ address: UInt64) -> String { address >> 63 == 0 ? "user" : "kernel" }

    /// The function at an address, or its page.
    private func name(_ address: UInt64) -> String {
        if let symbol = symbols?.symbol(at: address) { return symbol.name }
        return "0x" + String(address & ~0xFFF, radix: 16)
    }

    private func place(_ address: UInt64) -> String {
        let text = "0x" + String(address, radix: 16)
        guard let symbol = symbols?.symbol(at: address) else { return text }
        return "\(symbol.name)+0x\(String(symbol.offset, radix: 16))  \(text)"
    }
}
