import JSON
import Testing

@Suite struct JSONTests {
    func parse(_ text: String) throws(JSONError) -> JSON { try JSON(parsing: Array(text.utf8)) }

    @Test func `Values of all types are read`() throws {
        #expect(
            try parse(#" {"a": [1, -2, 3.5, true, false, null, "x", {}, []], "b": {"c": {"d": "\u00e9\n"}}} "#) == [
                "a": .array([1, -2, .real(3.5), true, false, .null, "x", .object([]), .array([])]),
                "b": ["c": ["d": "\u{e9}\n"]],
            ]
        )
    }

    @Test func `A value that is no object or array is one`() throws {
        #expect(try parse("7") == 7)
        #expect(try parse(#""x""#) == "x")
        #expect(try parse("null") == .null)
    }

    @Test func `Integers of 64 bits are exact, with a sign or without`() throws {
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("-9223372036854775808") == .integer(.min))
        #expect(try parse("9223372036854775808") == .unsigned(9_223_372_036_854_775_808))
        let text =
            #"{"a":[18446744073709551612,-1,9007199254740993],"\"1":"99999999999999999999","c":18446744073709551615}"#
        let value = try parse(text)
        #expect(
            value == [
                "a": .array([.unsigned(18_446_744_073_709_551_612), -1, 9_007_199_254_740_993]),
                "\"1": "99999999999999999999", "c": .unsigned(.max),
            ]
        )
        #expect(value.text() == text)
        #expect(try JSONPlace(value).integer("c", UInt64.self) == .max)
        let error = #expect(throws: JSONError.self) { try JSONPlace(value).integer("c", Int64.self) }
        #expect(
            error?.description.hasPrefix("c is '18446744073709551615', not a number from -9223372036854775808") == true
        )
    }

    @Test func `Integers beyond 64 bits are near enough`() throws {
        #expect(
            try parse("[18446744073709551616, -9223372036854775809, 5]")
                == .array([.real(18_446_744_073_709_551_616), .real(-9_223_372_036_854_775_808), 5])
        )
        let place = JSONPlace(try parse(#"{"big": 99999999999999999999, "small": 5}"#))
        #expect(try place.integer("small", Int.self) == 5)
        let error = #expect(throws: JSONError.self) { try place.integer("big", UInt64.self) }
        #expect(error?.description.hasPrefix("big is '1e+20', not a number from 0 to") == true)
        #expect(throws: JSONError.self) { try parse("1e999") }
        #expect(throws: JSONError.self) { try parse("[99999999999999999999") }
        #expect(throws: JSONError.self) { try parse(#"[99999999999999999999, ""#) }
        #expect(throws: JSONError.self) { try parse(#"[99999999999999999999, "\"#) }
    }

    @Test func `Of members of one name the last counts`() throws {
        let value = try parse(#"{"a": 1, "b": 2, "a": 3}"#)
        #expect(value["a"] == 3)
        #expect(value["b"] == 2)
        #expect(value["c"] == nil)
        #expect(JSON.array([])["a"] == nil)
    }

    @Test func `Nesting has an end and no crash`() throws {
        let fitting = String(repeating: "[", count: 2000) + String(repeating: "]", count: 2000)
        #expect(try parse(fitting).text() == fitting)
        let text = String(repeating: "[", count: 100_000)
        #expect(throws: JSONError.self) { try parse(text) }
        #expect(throws: JSONError.self) { try parse(String(repeating: #"{"a":"#, count: 100_000)) }
    }

    @Test(arguments: [
        ("", 1), ("{", 1), ("{\n\"a\": 1,\n}", 3), ("[1,\n2\n3]", 3), ("{\"a\"\n:\n\n}", 4), ("tru", 1), ("[1] x", 1),
        ("\"\u{1}\"", 1), (#""\u0000""#, 1), (#""\ud800""#, 1), ("{1: 2}", 1), ("'a'", 1), ("[1.]", 1), ("[01]", 1),
    ])
    func `What is no JSON is said with its line`(text: String, line: Int) {
        let error = #expect(throws: JSONError.self) { try parse(text) }
        guard case .syntax(let reason, let found)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(!reason.isEmpty)
        // The library counts no line of a text that is empty.
        #expect(text.isEmpty || found == line, "\(text)")
    }

    @Test func `Bytes that are no UTF-8 are refused`() {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0xC0, 0x80, 0x22]) }
        #expect(throws: JSONError.self) { try JSON(parsing: [0]) }
    }

    @Test func `What is written is read back`() throws {
        let value: JSON = [
            "empty": "", "text": "a\"\\\n\u{7F}\u{1F600}", "zero": 0, "least": .integer(.min), "most": .integer(.max),
            "half": .real(0.5), "large": .real(1e300), "list": .array([.null, true, .array([]), .object([])]),
            "nested": ["deeper": ["deepest": 1]], "": "no name",
        ]
        #expect(try parse(value.text()) == value)
        #expect(try parse(value.text(indentation: 4)) == value)
        #expect(value.text().contains("\n") == false)
        #expect(value.text(indentation: 4).contains("\n    \"nested\": {\n        \"deeper\""))
        #expect(JSON.string("x").text() == "\"x\"")
        #expect(JSON.null.text() == "null")
    }

    @Test func `Members stay in their order`() throws {
        #expect(try parse(#"{"z": 1, "a": 2, "m": 3}"#).text() == #"{"z":1,"a":2,"m":3}"#)
    }
}
