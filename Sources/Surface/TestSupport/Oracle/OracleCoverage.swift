import X86
import X86Decoder

/// Which rows of the opcode table cases have run, how often, and why not the others.
public struct OracleCoverage {
    /// Rows that can run.
    public let runnable: [UInt16]
    private let exclusions: [String?]
    private var caseCounts: [Int]
    private var faultCounts: [Int]
    private var dropCounts: [Int]
    private var failureCounts: [Int]
    private var undefined: [UInt64]
    public private(set) var singleCount = 0
    public private(set) var sequenceCount = 0
    public private(set) var faultedCount = 0
    public private(set) var droppedCount = 0
    public private(set) var unencodableCount = 0

    init(scope: OracleScope) {
        let rows = 0..<UInt16(OpcodeTable.rowCount)
        let reasons = rows.map { scope.exclusion(of: OpcodeTable.row($0)) ?? ($0 == 0 ? "not an instruction" : nil) }
        // A row that no 64-bit code has cannot be met at all.
        var encoder = OracleEncoder()
        var random = OracleRandom(seed: 1, number: 1)
        exclusions = rows.map { row in
            if let reason = reasons[Int(row)] { return reason }
            return encoder.encode(row, base: nil, &random) == nil ? "exists only outside 64-bit mode" : nil
        }
        let excluded = exclusions
        runnable = rows.filter { excluded[Int($0)] == nil }
        let zeros = [Int](repeating: 0, count: rows.count)
        (caseCounts, faultCounts, dropCounts, failureCounts) = (zeros, zeros, zeros, zeros)
        undefined = [UInt64](repeating: 0, count: rows.count)
    }

    /// Cases that ran on both sides.
    public var caseCount: Int { singleCount + sequenceCount }
    public var coveredRowCount: Int { caseCounts.filter { $0 > 0 }.count }
    /// Rows that should have run and did not.
    public var missedRows: [UInt16] { runnable.filter { caseCounts[Int($0)] == 0 } }

    mutating func count(_ generator: OracleGenerator, faulted: Bool) {
        if generator.instructions.count == 1 { singleCount += 1 } else { sequenceCount += 1 }
        if faulted { faultedCount += 1 }
        // Of a sequence nobody knows how far it came: only single instructions count for their rows.
        guard generator.instructions.count == 1 else { return }
        let row = Int(generator.instructions[0].instruction.row)
        caseCounts[row] += 1
        if faulted { faultCounts[row] += 1 }
    }

    mutating func countDropped(_ row: UInt16) {
        droppedCount += 1
        dropCounts[Int(row)] += 1
    }

    mutating func countUnencodable() { unencodableCount += 1 }
    mutating func noteFailure(_ row: UInt16) { failureCounts[Int(row)] += 1 }
    mutating func noteUndefined(_ row: UInt16, _ flags: UInt64) { undefined[Int(row)] |= flags }
    func failures(of row: UInt16) -> Int { failureCounts[Int(row)] }

    /// Everything, in lines.
    public var report: String {
        var lines = [
            "\(caseCount) cases: \(singleCount) single instructions, \(sequenceCount) sequences; \(faultedCount) ended in an exception or a jump;"
                + " \(droppedCount) more dropped, as they would leave the data or not end; \(unencodableCount) without encoding",
            "\(coveredRowCount) of \(OpcodeTable.rowCount) rows covered",
        ]
        lines += classLines()
        if !missedRows.isEmpty { lines.append("not covered though they can run: " + names(missedRows)) }
        var reasons: [String: [UInt16]] = [:]
        for (row, reason) in exclusions.enumerated() {
            if let reason { reasons[reason, default: []].append(UInt16(row)) }
        }
        for (reason, rows) in reasons.sorted(by: { $0.key < $1.key }) {
            lines.append("not covered, \(rows.count) rows: \(reason): \(names(rows))")
        }
        let faulting = runnable.filter { caseCounts[Int($0)] > 0 && caseCounts[Int($0)] == faultCounts[Int($0)] }
        lines.append("covered only by an exception or a jump: " + names(faulting))
        let dropping = runnable.filter { dropCounts[Int($0)] > caseCounts[Int($0)] }
        if !dropping.isEmpty { lines.append("mostly dropped: " + names(dropping)) }
        let differing = runnable.filter { undefined[Int($0)] != 0 }
        if !differing.isEmpty {
            lines.append(
                "undefined flags that differ from this host's: "
                    + differing.map { "\(name($0)) \(hexadecimal(undefined[Int($0)]))" }.joined(separator: ", ")
            )
        }
        let failing = runnable.filter { failureCounts[Int($0)] != 0 }
        if !failing.isEmpty {
            lines.append(
                "differences by row: " + failing.map { "\(name($0)) \(failureCounts[Int($0)])" }.joined(separator: ", ")
            )
        }
        return lines.joined(separator: "\n")
    }

    private func classLines() -> [String] {
        let classes: [(String, (OpcodeRow) -> Bool)] = [
            ("integer", { $0.operation.rawValue < Operation.firstSystem }),
            ("system", { Operation.firstSystem..<Operation.firstVector ~= $0.operation.rawValue }),
            ("x87", { $0.map == .x87 || $0.operation == .fwait }),
            (
                "VEX",
                { [.vex0F, .vex0F38, .vex0F3A].contains($0.map) && $0.operation.rawValue >= Operation.firstVector }
            ),
            ("MMX, SSE and state", { _ in true }),
        ]
        var counts = classes.map { _ in (rows: 0, cases: 0) }
        for row in runnable {
            guard let index = classes.firstIndex(where: { $0.1(OpcodeTable.row(row)) }) else { continue }
            counts[index].rows += 1
            counts[index].cases += caseCounts[Int(row)]
        }
        return zip(classes, counts).map { "  \($0.0): \($1.rows) rows, \($1.cases) cases" }
    }

    private func name(_ row: UInt16) -> String {
        let entry = OpcodeTable.row(row)
        return "\(entry.mnemonic) (\(entry.map) \(String(entry.opcode, radix: 16)))"
    }

    private func names(_ rows: [UInt16]) -> String { rows.map(name).joined(separator: ", ") }
}
