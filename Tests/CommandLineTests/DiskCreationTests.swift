import DiskImage
import Testing

@testable import CommandLine

@Suite struct DiskCreationTests {
    private func creation(_ text: String) -> DiskCreation? {
        DiskCreation(plainWords: text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)[...])
    }

    @Test func `The words of a linked clone are taken without the parser`() throws {
        let clone = try #require(creation("disk create -f qcow2 -b /a/base.img -F raw -q clone.qcow2 2G"))
        #expect(clone.format == .qcow2 && clone.backing == "/a/base.img" && clone.backingFormat == .raw)
        #expect(clone.path == "clone.qcow2" && clone.size?.bytes == 2 << 30)
        #expect(clone.options.isEmpty && clone.fromDirectory == nil && !clone.isUnsafe)
        let plain = try #require(creation("disk create a.img 1M"))
        #expect(plain.format == .raw && plain.backing == nil && plain.size?.bytes == 1 << 20)
    }

    @Test(
        arguments: [
            "", "disk", "disk create", "disk info a.qcow2", "create a.img 1M", "disk create --help", "disk create -f",
            "disk create -f vmdk a 1M", "disk create -f qcow2 -o compat=0.10 a 1M", "disk create -fqcow2 a 1M",
            "disk create a 1M b", "disk create a 1X", "disk create -b --help a", "disk create -- a 1M",
            "disk create --from-directory b a", "disk create  1M",
        ]
    )
    func `All other words are left to the parser`(text: String) {
        #expect(creation(text) == nil)
    }
}
