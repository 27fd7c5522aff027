import Telemetry
import Testing

@Suite struct CounterReportTests {
    @Test func `Names are padded so that values stand below each other`() {
        var report = CounterReport(part: "cpu0")
        report.add("exits", 7)
        report.add("page walks", 12)
        #expect(report.description == "cpu0  exits       7\ncpu0  page walks  12")
    }

    @Test func `Rows keep the order they were added in`() {
        var report = CounterReport(part: "x")
        report.add("b", 1)
        report.add("a", 2)
        #expect(report.rows.map(\.name) == ["b", "a"])
    }

    @Test func `A report without rows prints nothing`() { #expect(CounterReport(part: "x").description.isEmpty) }
}
