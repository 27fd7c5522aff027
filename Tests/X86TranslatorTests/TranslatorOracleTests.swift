import Glibc
import TestSupport
import Testing

/// A hundred thousand random cases of the oracle in translator and interpreter, or ORACLE_CASES; ORACLE_SEED makes others, and
/// VIV_FUZZ_SECONDS runs new ones for so long.
@Suite(.serialized) struct TranslatorOracleFuzzTests {
    private func variable(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    @Test func `The translator agrees with the interpreter over the opcode table`() throws {
        let seconds = variable("VIV_FUZZ_SECONDS")
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let end = time.tv_sec + Int(seconds ?? 0)
        let seed = variable("ORACLE_SEED") ?? variable("VIV_FUZZ_SEED") ?? (seconds == nil ? 1 : UInt64(time.tv_nsec))
        let oracle = try TranslatorOracle(seed: seed)
        let count = variable("ORACLE_CASES") ?? (seconds == nil ? 102_000 : .max >> 1)
        try oracle.run(first: variable("ORACLE_FIRST") ?? 0, count: count) {
            guard seconds != nil else { return true }
            clock_gettime(CLOCK_MONOTONIC, &time)
            return time.tv_sec < end
        }
        print(
            "translator oracle: seed \(seed), \(oracle.caseCount) cases, \(oracle.endlessCount) endless ones left out"
        )
        let failures = oracle.failures.joined(separator: "\n")
        #expect(oracle.failureCount == 0, "\(oracle.failureCount) differences\n\(failures)")
        if seconds == nil, count > 20_000 { #expect(oracle.caseCount > count / 10 * 9) }
    }
}
