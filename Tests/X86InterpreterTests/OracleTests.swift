import Glibc
import TestSupport
import Testing

/// A million random cases against the host's CPU, or ORACLE_CASES; ORACLE_SEED makes others, and VIV_FUZZ_SECONDS runs
/// new ones for so long.
///
/// `Docs/oracle.md` tells what is compared.
@Suite(.serialized) struct OracleFuzzTests {
    private func variable(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

    @Test func `The interpreter agrees with the host over the opcode table`() throws {
        let seconds = variable("VIV_FUZZ_SECONDS")
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let end = time.tv_sec + Int(seconds ?? 0)
        let seed = variable("ORACLE_SEED") ?? variable("VIV_FUZZ_SEED") ?? (seconds == nil ? 1 : UInt64(time.tv_nsec))
        let oracle = try NativeOracle(seed: seed)
        let count = variable("ORACLE_CASES") ?? (seconds == nil ? 1_020_000 : .max >> 1)
        oracle.run(first: variable("ORACLE_FIRST") ?? 0, count: count) {
            guard seconds != nil else { return true }
            clock_gettime(CLOCK_MONOTONIC, &time)
            return time.tv_sec < end
        }
        print("oracle: seed \(seed)\n" + oracle.coverage.report)
        let failures = oracle.failures.joined(separator: "\n")
        #expect(oracle.failureCount == 0, "\(oracle.failureCount) differences\n\(failures)")
        if count > 20_000, seconds == nil {
            #expect(oracle.coverage.missedRows.isEmpty)
            #expect(oracle.coverage.caseCount > count / 10 * 9)
        }
    }
}
