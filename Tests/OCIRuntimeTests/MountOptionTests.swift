import Glibc
import OCIRuntime
import Testing

@Suite struct MountOptionTests {
    @Test(arguments: [
        ("ro", "rw", MS_RDONLY), ("nosuid", "suid", MS_NOSUID), ("nodev", "dev", MS_NODEV),
        ("noexec", "exec", MS_NOEXEC),
        ("sync", "async", MS_SYNCHRONOUS), ("mand", "nomand", MS_MANDLOCK), ("noatime", "atime", MS_NOATIME),
        ("nodiratime", "diratime", MS_NODIRATIME), ("relatime", "norelatime", MS_RELATIME),
        ("strictatime", "nostrictatime", MS_STRICTATIME), ("nosymfollow", "symfollow", MS_NOSYMFOLLOW),
        ("iversion", "noiversion", MS_I_VERSION), ("lazytime", "nolazytime", MS_LAZYTIME),
        ("silent", "loud", MS_SILENT),
        ("acl", "noacl", MS_POSIXACL),
    ])
    func `Of an option and its opposite the last counts`(on: String, off: String, flag: Int) {
        let bits = UInt(flag)
        let set = MountOptions(options: [on], type: nil)
        #expect(set.flags == bits)
        #expect(set.clearedFlags == 0)
        let cleared = MountOptions(options: [on, off], type: nil)
        #expect(cleared.flags == 0)
        #expect(cleared.clearedFlags == bits)
        let again = MountOptions(options: [off, on], type: nil)
        #expect(again.flags == bits)
        #expect(again.clearedFlags == 0)
        #expect(again.data.isEmpty)
    }

    @Test(arguments: [
        ("shared", MS_SHARED), ("rshared", MS_SHARED | MS_REC), ("private", MS_PRIVATE),
        ("rprivate", MS_PRIVATE | MS_REC),
        ("slave", MS_SLAVE), ("rslave", MS_SLAVE | MS_REC), ("unbindable", MS_UNBINDABLE),
        ("runbindable", MS_UNBINDABLE | MS_REC),
    ])
    func `Propagation is apart from the flags`(name: String, bits: Int) {
        let options = MountOptions(options: ["private", name], type: nil)
        #expect(options.propagation == [UInt(MS_PRIVATE), UInt(bits)])
        #expect(options.flags == 0)
        #expect(MountOptions.propagation(named: name) == UInt(bits))
        #expect(MountOptions.propagation(named: "bind") == nil)
    }

    @Test(
        arguments: [
            ("rro", "rrw", 0x1), ("rnosuid", "rsuid", 0x2), ("rnodev", "rdev", 0x4), ("rnoexec", "rexec", 0x8),
            ("rnodiratime", "rdiratime", 0x80), ("rnosymfollow", "rsymfollow", 0x20_0000),
        ] as [(String, String, UInt64)]
    )
    func `Recursive options are attributes`(on: String, off: String, bits: UInt64) {
        let set = MountOptions(options: ["rbind", off, on], type: nil)
        #expect(set.recursiveSet == bits)
        #expect(set.recursiveClear == 0)
        #expect(set.flags == UInt(MS_BIND | MS_REC))
        let cleared = MountOptions(options: [on, off], type: nil)
        #expect(cleared.recursiveSet == 0)
        #expect(cleared.recursiveClear == bits)
        #expect(cleared.hasRecursiveAttributes)
    }

    @Test(
        arguments: [
            (["rnoatime"], 0x10, 0x70), (["rstrictatime"], 0x20, 0x70), (["rrelatime"], 0, 0x70), (["ratime"], 0, 0x70),
            (["rnoatime", "ratime"], 0, 0x70), (["rnoatime", "rstrictatime"], 0x20, 0x70),
            (["rstrictatime", "ratime"], 0x20, 0x70), (["rstrictatime", "rnostrictatime"], 0, 0x70),
            (["rnorelatime"], 0, 0),
            (["rnoatime", "rnodiratime"], 0x90, 0x70),
        ] as [([String], UInt64, UInt64)]
    )
    func `Access times are one value of three`(names: [String], set: UInt64, clear: UInt64) {
        let options = MountOptions(options: names, type: nil)
        #expect(options.recursiveSet == set)
        #expect(options.recursiveClear == clear)
    }

    @Test func `What nobody knows is for the file system`() {
        let options = MountOptions(
            options: ["nosuid", "mode=755", "", "size=65536k", "defaults", "uid=0"],
            type: "tmpfs"
        )
        #expect(options.flags == UInt(MS_NOSUID))
        #expect(options.data == "mode=755,size=65536k,uid=0")
        #expect(options.remountFlags == 0)
    }

    @Test func `Extensions are flags of their own`() {
        #expect(MountOptions(options: ["tmpcopyup"], type: "tmpfs").copiesUp)
        let mapped = MountOptions(options: ["bind", "idmap"], type: nil)
        #expect(mapped.isIdmapped)
        #expect(!mapped.isIdmappedRecursively)
        #expect(MountOptions(options: ["ridmap"], type: nil).isIdmappedRecursively)
        let none = MountOptions(options: [], type: nil)
        #expect(!none.copiesUp && !none.isIdmapped && !none.hasRecursiveAttributes && !none.isBind)
    }

    @Test func `A bind mount is one by its type or an option`() {
        #expect(MountOptions(options: [], type: "bind").flags == UInt(MS_BIND))
        let bound = MountOptions(options: ["rbind", "ro", "nosuid", "dirsync", "remount"], type: "none")
        #expect(bound.isBind && bound.isReadOnly)
        #expect(bound.remountFlags == UInt(MS_RDONLY | MS_NOSUID | MS_DIRSYNC))
    }
}
