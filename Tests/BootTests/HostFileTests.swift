import Boot
import Glibc
import GuestMemory
import Testing

struct HostFileTests {
    @Test func `Paths that cannot be read are named with the reason`() {
        let directory = Samples.temporaryDirectory()
        defer { _ = Samples.shell("rm -r \(directory)") }
        Samples.write([], to: directory + "/empty")
        Samples.write([1, 2, 3], to: directory + "/three")
        func message(_ path: String, limit: Int = 100) -> String {
            do throws(BootError) { return "read \(try HostFile.read(path, limit: limit).bytes)" } catch {
                return "\(error)"
            }
        }
        #expect(message(directory + "/none") == "\(directory)/none: no such file")
        #expect(message(directory + "/three/x") == "\(directory)/three/x: no such file")
        #expect(message(directory) == "\(directory): is a directory")
        #expect(message(directory + "/empty") == "\(directory)/empty: is empty")
        #expect(message(directory + "/three") == "read [1, 2, 3]")
        #expect(message(directory + "/three", limit: 2) == "\(directory)/three: is larger than 2 bytes")
        #expect(message("/dev/zero") == "/dev/zero: is neither a regular file nor a pipe")
        #expect(message("") == ": no such file")
    }

    @Test func `A firmware image of an odd size is refused`() {
        for byteCount in [1, 0x8000, 0x18000, 0x200_0000] {
            let file = Samples.file("bios", [UInt8](repeating: 0, count: byteCount))
            #expect(throws: BootError.self) { try Firmware(file) }
        }
    }

    @Test func `Firmware lies below 4 GiB and below 1 MiB`() throws {
        let image = (0..<0x40000).map { UInt8(truncatingIfNeeded: $0 >> 12) }
        let firmware = try Firmware(Samples.file("bios", image))
        let map = try MemoryMap(memoryByteCount: 16 << 20, firmwareByteCount: firmware.byteCount)
        let memory = try GuestMemory(layout: map.regions)
        let entry = try firmware.load(into: memory)
        #expect(entry == .resetVector)
        #expect(try memory.bytes(0xFFFC_0000, 0x40000) == image)
        #expect(try memory.bytes(0xE0000, 0x20000) == Array(image.suffix(0x20000)))
    }
}
