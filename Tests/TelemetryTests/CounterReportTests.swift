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

    @Test func `Values are printed with their units`() {
        var report = CounterReport(part: "time")
        report.add("a", 1_234_567, .nanoseconds)
        report.add("b", 999_900, .share)
        report.add("c", 1_000_000, .share)
        report.add("d", 512, .bytes)
        #expect(
            report.part(of: "cpu0").description == """
                cpu0 time  a  1.234 ms
                cpu0 time  b  99.9900 %
                cpu0 time  c  100.0000 %
                cpu0 time  d  512 bytes
                """
        )
    }

    @Test func `A report without rows prints nothing`() { #expect(CounterReport(part: "x").description.isEmpty) }
}
