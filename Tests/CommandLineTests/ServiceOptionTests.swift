import ArgumentParser
import CommandLine
import Testing
import VirtualMachine

@Suite struct ServiceOptionTests {
    @Test func `A socket's path and address are read`() {
        #expect(GuestSocketConfiguration(argument: "/tmp/v") == GuestSocketConfiguration(path: "/tmp/v"))
        let far = GuestSocketConfiguration(argument: "/tmp/a,,b,cid=4294967294")
        #expect(far == GuestSocketConfiguration(path: "/tmp/a,b", guestCID: 0xFFFF_FFFE))
    }

    @Test(arguments: ["", ",cid=3", "v,cid=2", "v,cid=4294967295", "v,cid=x", "v,port=3"])
    func `Other sockets are refused`(text: String) {
        #expect(GuestSocketConfiguration(argument: text) == nil)
    }

    @Test func `A folder's path, tag and rights are read`() {
        #expect(SharedFolderConfiguration(argument: "/srv") == SharedFolderConfiguration(path: "/srv"))
        let folder = SharedFolderConfiguration(argument: "a,,b,ro,tag=data")
        #expect(folder == SharedFolderConfiguration(path: "a,b", tag: "data", isReadOnly: true))
    }

    @Test(arguments: ["", ",ro", "d,tag=", "d,tag=1234567890123456789012345678901234567", "d,rw"])
    func `Other folders are refused`(text: String) {
        #expect(SharedFolderConfiguration(argument: text) == nil)
    }

    @Test func `A balloon needs no size`() throws {
        #expect(try ServiceOptions.parse(["--balloon"]).balloon == BalloonConfiguration())
        #expect(try ServiceOptions.parse(["--balloon=64M"]).balloon == BalloonConfiguration(byteCount: 64 << 20))
        #expect(try ServiceOptions.parse([]).balloon == nil)
        #expect(throws: (any Error).self) { try ServiceOptions.parse(["--balloon=much"]) }
    }

    @Test func `Two folders of one tag are refused`() throws {
        #expect(throws: (any Error).self) { try ServiceOptions.parse(["--share", "a", "--share", "b"]) }
        #expect(try ServiceOptions.parse(["--share", "a", "--share", "b,tag=b"]).share.count == 2)
    }
}
