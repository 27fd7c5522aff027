import Glibc
import NetworkFrames
import SystemCalls
import Testing

@testable import Networking

@Suite struct LANTests {
    static let a = MACAddress(0x5254_0000_000A)
    static let b = MACAddress(0x5254_0000_000B)
    static let c = MACAddress(0x5254_0000_000C)

    static func frame(_ source: MACAddress, _ destination: MACAddress, _ number: UInt8 = 0, count: Int = 60) -> Frame {
        let payload = [UInt8](repeating: number, count: count - 14)
        return Frame(destination.bytes + source.bytes + [0x88, 0xB5] + payload)
    }

    // MARK: Learning

    @Test func `A switch floods what it does not know and then sends straight`() {
        var table = LearningSwitch()
        for port in 1...3 { table.add(port) }
        #expect(table.forward(source: Self.a, destination: Self.b, from: 1, now: 0) == [2, 3])
        #expect(table.forward(source: Self.b, destination: Self.a, from: 2, now: 1) == [1])
        #expect(table.forward(source: Self.a, destination: Self.b, from: 1, now: 2) == [2])
        #expect(table.forward(source: Self.a, destination: .broadcast, from: 1, now: 3) == [2, 3])
        #expect(table.forward(source: Self.c, destination: Self.b, from: 2, now: 4) == [], "behind the same port")
    }

    @Test func `An address moves, ages and goes with its port`() {
        var table = LearningSwitch()
        for port in 1...3 { table.add(port) }
        _ = table.forward(source: Self.a, destination: .broadcast, from: 1, now: 0)
        _ = table.forward(source: Self.a, destination: .broadcast, from: 3, now: 1)
        #expect(table.forward(source: Self.b, destination: Self.a, from: 2, now: 2) == [3])
        let later = 1 + LearningSwitch.memoryTime
        #expect(table.forward(source: Self.b, destination: Self.a, from: 2, now: later) == [1, 3])
        table.remove(3)
        #expect(table.forward(source: Self.b, destination: Self.a, from: 2, now: 3) == [1])
        #expect(table.forward(source: Self.b, destination: Self.a, from: 3, now: 4) == [], "no port any more")
    }

    @Test func `A port that makes up addresses does not crowd out another's`() {
        var table = LearningSwitch()
        for port in 1...3 { table.add(port) }
        _ = table.forward(source: Self.a, destination: .broadcast, from: 1, now: 0)
        for number in 0..<10_000 as Range<UInt64> {
            _ = table.forward(
                source: MACAddress(0x0200_0000_0000 | number),
                destination: .broadcast,
                from: 2,
                now: number
            )
        }
        #expect(table.forward(source: Self.b, destination: Self.a, from: 3, now: 20_000) == [1])
        // Group addresses are nobody's.
        _ = table.forward(source: .broadcast, destination: .broadcast, from: 2, now: 20_001)
        #expect(table.forward(source: Self.b, destination: .broadcast, from: 3, now: 20_002) == [1, 2])
    }

    // MARK: Sockets

    @Test func `Two ports of a LAN reach each other, with their offloads, and others do not hear`() throws {
        let place = try LANPlace(folder: makeFolder())
        let (one, two, other) = (GuestPort(), GuestPort(), GuestPort())
        let first = try LANNetwork(name: "blue", place: place)
        let second = try LANNetwork(name: "blue", place: place)
        let third = try LANNetwork(name: "red", place: place)
        first.attach(one)
        second.attach(two)
        third.attach(other)
        #expect(first.isServing && !second.isServing && third.isServing)
        let offload = FrameOffload(
            checksum: FrameOffload.Checksum(start: 34, offset: 16),
            segmentation: .tcp4,
            segmentByteCount: 1460,
            headerByteCount: 54
        )
        // The switch may see the second port after the first frame.
        let sent = holds {
            first.transmit([Self.frame(Self.a, .broadcast, 1)])
            return !two.frames.isEmpty
        }
        #expect(sent)
        var large = Self.frame(Self.b, Self.a, 2, count: 60_000)
        large.offload = offload
        second.transmit([large])
        #expect(one.first { $0 == large } != nil)
        // Many at once arrive in order, but for what the receiver has no room for.
        let burst = (0..<200).map { Self.frame(Self.b, Self.a, UInt8($0)) }
        second.transmit(burst)
        #expect(one.first { $0 == burst[199] } != nil)
        #expect(one.frames.suffix(200) == burst[...])
        #expect(other.frames.isEmpty)
    }

    @Test func `When the switch goes, another port serves it`() throws {
        let place = try LANPlace(folder: makeFolder())
        let (two, three) = (GuestPort(), GuestPort())
        var first: LANNetwork? = try LANNetwork(name: "x", place: place)
        let second = try LANNetwork(name: "x", place: place)
        let third = try LANNetwork(name: "x", place: place)
        second.attach(two)
        third.attach(three)
        #expect(first?.isServing == true)
        first = nil
        #expect(holds { second.isServing != third.isServing })
        let arrives = holds {
            second.transmit([Self.frame(Self.b, Self.c, 9)])
            return !three.frames.isEmpty
        }
        #expect(arrives)
    }

    @Test func `A socket that a dead switch left behind is replaced`() throws {
        let place = try LANPlace(folder: makeFolder())
        do {
            let left = try PacketSocket.listen(at: place.socketPath("x"))
            _ = left.rawValue
        }
        #expect(access(place.socketPath("x"), F_OK) == 0)
        let network = try LANNetwork(name: "x", place: place)
        #expect(network.isServing)
    }

    @Test func `Messages that are no frames are lost and the switch goes on`() throws {
        let place = try LANPlace(folder: makeFolder())
        let guest = GuestPort()
        let network = try LANNetwork(name: "x", place: place)
        network.attach(guest)
        let hostile = try PacketSocket.connect(to: place.socketPath("x"))
        let whole = FrameOffload().encoded() + Self.frame(Self.b, Self.a).bytes
        for count in [1, 11, 12, 25] { _ = PacketSocket.send(Array(whole[..<count]), to: hostile.rawValue) }
        _ = PacketSocket.send([UInt8](repeating: 0xFF, count: 200), to: hostile.rawValue)
        _ = PacketSocket.send([UInt8](repeating: 0, count: SwitchServer.messageByteLimit + 1), to: hostile.rawValue)
        _ = PacketSocket.send(whole, to: hostile.rawValue)
        #expect(guest.first { _ in true }?.bytes == Self.frame(Self.b, Self.a).bytes)
        #expect(guest.frames.count == 1)
    }

    @Test func `A folder that others can enter is refused`() throws {
        let folder = makeFolder()
        chmod(folder, 0o755)
        #expect(throws: NetworkError.badFile(path: folder, reason: "open to other users")) {
            try LANPlace(folder: folder)
        }
        chmod(folder, 0o700)
        symlink(folder, folder + "/link")
        #expect(throws: NetworkError.badFile(path: folder + "/link", reason: "not a folder")) {
            try LANPlace(folder: folder + "/link")
        }
    }
}
