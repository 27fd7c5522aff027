import HostCode
import X86

/// Compares the translator with the interpreter on the cases of ``NativeOracle``, in everything, flags that are undefined among it.
///
/// The host's CPU runs nothing but the translated code. One thread at a time.
public final class TranslatorOracle {
    public let seed: UInt64
    /// The first ten differences, in words.
    public private(set) var failures: [String] = []
    public private(set) var failureCount = 0
    /// Cases that were compared, and those left out because they have no end.
    public private(set) var caseCount: UInt64 = 0
    public private(set) var endlessCount: UInt64 = 0

    private let native: NativeExecutor
    private let generator: OracleGenerator
    /// Runs each case first, to see whether it ends.
    private let probe: OracleGuest
    private var guest: OracleGuest

    public init(seed: UInt64) throws {
        self.seed = seed
        native = try NativeExecutor(memoryByteCount: OracleGuest.dataByteCount)
        let coverage = OracleCoverage(scope: OracleScope(model: .vivariumV3))
        generator = OracleGenerator(native: native, rows: coverage.runnable, usesGS: true)
        probe = try Self.makeGuest(native, checks: false)
        guest = try Self.makeGuest(native, checks: true)
    }

    private static func makeGuest(_ native: NativeExecutor, checks: Bool) throws -> OracleGuest {
        let guest = try OracleGuest(
            codeAddress: native.codeWindowAddress,
            dataAddress: native.memoryAddress,
            model: .vivariumV3,
            checks: checks
        )
        guest.resetSegments(fsBase: 0x5000, gsBase: OracleGenerator.gsBase)
        return guest
    }

    /// Runs cases `first`..<`first` + `count`.
    public func run(first: UInt64 = 0, count: UInt64, while goesOn: () -> Bool = { true }) throws {
        for number in first..<first &+ count {
            if number & 0xFFF == 0, !goesOn() { return }
            guard generator.make(seed: seed, number: number) else { continue }
            probe.load(native.state, image: generator.image, bytes: generator.bytes)
            let stop = probe.run()
            probe.resetSegments(fsBase: 0x5000, gsBase: OracleGenerator.gsBase)
            guard stop != .endless else {
                endlessCount += 1
                continue
            }
            guest.load(native.state, image: generator.image, bytes: generator.bytes)
            let translated = guest.run()
            caseCount += 1
            var difference = guest.difference
            if difference == nil, translated != stop { difference = "it ends with \(translated), not \(stop)" }
            if let difference {
                failureCount += 1
                if failures.count < 10 { failures.append("seed \(seed), case \(number): \(difference)") }
                guest = try Self.makeGuest(native, checks: true)
            } else {
                guest.resetSegments(fsBase: 0x5000, gsBase: OracleGenerator.gsBase)
            }
        }
    }
}
