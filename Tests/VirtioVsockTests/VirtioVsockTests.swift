import Glibc
import GuestMemory
import Testing
import Virtio
import VirtioVsock

@Suite struct VirtioVsockTests {
    typealias Guest = VsockGuest
    typealias Packet = VsockGuest.Packet
    let guest: VsockGuest

    init() throws { guest = try VsockGuest() }

    /// A client of the host's, connected to `port`; gives its socket and the host's port.
    private func connect(port: UInt32 = 5000) throws -> (client: CInt, hostPort: UInt32) {
        let client = HostSocket.connect(guest.path)
        #expect(HostSocket.send(client, Array("CONNECT \(port)\n".utf8)) > 0)
        let packet = try #require(try guest.receive())
        #expect(packet.operation == Guest.request && packet.guestPort == port)
        try guest.send(Packet(operation: Guest.response, guestPort: port, hostPort: packet.hostPort))
        let line = Array("OK \(packet.hostPort)\n".utf8)
        #expect(HostSocket.receive(client, line.count) == line)
        return (client, packet.hostPort)
    }

    /// A connection of the guest's to port 80; gives the host's end of it.
    private func accept(allocated: UInt32 = 1 << 16) throws -> CInt {
        let listener = HostSocket.listen(guest.path + "_80")
        defer { close(listener) }
        try guest.send(Packet(operation: Guest.request, guestPort: 1000, hostPort: 80, allocated: allocated))
        let packet = try #require(try guest.receive())
        #expect(packet.operation == Guest.response && packet.guestPort == 1000 && packet.hostPort == 80)
        return Glibc.accept(listener, nil, nil)
    }

    @Test func `The guest's address is told`() {
        #expect(guest.device.readConfig(at: 0, width: .qword) == 3)
    }

    @Test func `A client reaches a port of the guest's and bytes go both ways`() throws {
        let (client, port) = try connect()
        defer { close(client) }
        try guest.send(Packet(operation: Guest.data, guestPort: 5000, hostPort: port, data: Array("hello".utf8)))
        #expect(HostSocket.receive(client, 5) == Array("hello".utf8))
        #expect(HostSocket.send(client, Array("world".utf8)) == 5)
        let packet = try #require(try guest.receive())
        #expect(packet.operation == Guest.data && packet.data == Array("world".utf8))
        #expect(packet.allocated >= 1 << 16)
        #expect(packet.forwarded == 5)
    }

    @Test func `A port that the guest refuses ends the client's connection`() throws {
        let client = HostSocket.connect(guest.path)
        defer { close(client) }
        #expect(HostSocket.send(client, Array("CONNECT 7\n".utf8)) > 0)
        let packet = try #require(try guest.receive())
        try guest.send(Packet(operation: Guest.reset, guestPort: 7, hostPort: packet.hostPort))
        #expect(HostSocket.receive(client, 1) == [])
        #expect(guest.device.connectionCount == 0)
    }

    @Test(arguments: [
        "CONNECT\n", "CONNECT x\n", "CONNECT 4294967296\n", "HELLO 5\n", "\n", String(repeating: "9", count: 64),
    ])
    func `A first line that is not understood ends the client's connection`(line: String) throws {
        let client = HostSocket.connect(guest.path)
        defer { close(client) }
        #expect(HostSocket.send(client, Array(line.utf8)) > 0)
        #expect(HostSocket.receive(client, 1) == [])
    }

    @Test func `A guest's connection goes to the socket of its port`() throws {
        let host = try accept()
        defer { close(host) }
        try guest.send(Packet(operation: Guest.data, guestPort: 1000, hostPort: 80, data: [1, 2, 3]))
        #expect(HostSocket.receive(host, 3) == [1, 2, 3])
    }

    @Test func `A port without a listener is refused`() throws {
        try guest.send(Packet(operation: Guest.request, guestPort: 9, hostPort: 81))
        #expect(try guest.receive()?.operation == Guest.reset)
        #expect(guest.device.connectionCount == 0)
    }

    @Test func `No more goes to the guest than it has room for`() throws {
        let host = try accept(allocated: 100)
        defer { close(host) }
        #expect(HostSocket.send(host, [UInt8](repeating: 7, count: 250)) == 250)
        #expect(try guest.receive()?.data.count == 100)
        #expect(try guest.receive()?.operation == Guest.creditRequest)
        #expect(try guest.receive(patience: 10) == nil)
        try guest.send(
            Packet(operation: Guest.creditUpdate, guestPort: 1000, hostPort: 80, allocated: 100, forwarded: 60)
        )
        #expect(try guest.receive()?.data.count == 60)
        try guest.send(
            Packet(operation: Guest.creditUpdate, guestPort: 1000, hostPort: 80, allocated: 1000, forwarded: 160)
        )
        var rest = 0
        while rest < 90, let packet = try guest.receive() { rest += packet.data.count }
        #expect(rest == 90)
    }

    @Test func `The guest learns what was passed on before it stops for want of credit`() throws {
        let host = try accept()
        defer { close(host) }
        var told: UInt32 = 0
        var sent: UInt32 = 0
        while sent < 1 << 20 {
            let count = 1 << 15
            try guest.send(
                Packet(operation: Guest.data, guestPort: 1000, hostPort: 80, data: [UInt8](repeating: 1, count: count))
            )
            sent += UInt32(count)
            #expect(HostSocket.receive(host, count).count == count)
            while sent - told > 1 << 17 {
                let packet = try #require(try guest.receive())
                #expect(packet.operation == Guest.creditUpdate)
                told = packet.forwarded
            }
        }
    }

    @Test func `A guest that sends more than it has credit for is reset`() throws {
        let host = try accept()
        defer { close(host) }
        // The client takes nothing, so that its socket fills up.
        let data = [UInt8](repeating: 1, count: 1 << 15)
        let packet = Packet(operation: Guest.data, guestPort: 1000, hostPort: 80, data: data)
        var wasReset = false
        for _ in 0..<64 where !wasReset {
            try guest.send(packet)
            wasReset = guest.device.connectionCount == 0
        }
        #expect(wasReset)
    }

    @Test func `Each side may stop sending alone`() throws {
        let (client, port) = try connect()
        defer { close(client) }
        shutdown(client, CInt(SHUT_WR))
        let end = try #require(try guest.receive())
        #expect(end.operation == Guest.shutdown && end.flags == 2)
        try guest.send(Packet(operation: Guest.data, guestPort: 5000, hostPort: port, data: [9]))
        #expect(HostSocket.receive(client, 1) == [9])
        try guest.send(Packet(operation: Guest.shutdown, guestPort: 5000, hostPort: port, flags: 2))
        #expect(HostSocket.receive(client, 1) == [])
        try guest.send(Packet(operation: Guest.shutdown, guestPort: 5000, hostPort: port, flags: 3))
        var last = try guest.receive()
        // That nothing goes either way any more may have been told first.
        if last?.operation == Guest.shutdown { last = try guest.receive() }
        #expect(last?.operation == Guest.reset)
        #expect(guest.device.connectionCount == 0)
    }

    @Test func `A client that goes away is told to the guest whole`() throws {
        let (client, _) = try connect()
        #expect(HostSocket.send(client, [1, 2]) == 2)
        close(client)
        #expect(try guest.receive()?.data == [1, 2])
        let end = try #require(try guest.receive())
        #expect(end.operation == Guest.shutdown && end.flags == 3)
    }

    @Test func `Packets that make no sense are answered by a reset`() throws {
        let packet = Packet(operation: Guest.data, guestPort: 1, hostPort: 2)
        try guest.send(packet)
        #expect(try guest.receive()?.operation == Guest.reset)
        try guest.send(packet, source: 77)
        #expect(try guest.receive()?.operation == Guest.reset)
        try guest.send(packet, destination: 5)
        #expect(try guest.receive()?.operation == Guest.reset)
        try guest.send(packet, type: 2)
        #expect(try guest.receive()?.operation == Guest.reset)
        try guest.send(Packet(operation: 99, guestPort: 1, hostPort: 2))
        #expect(try guest.receive()?.operation == Guest.reset)
        try guest.send(Packet(operation: Guest.reset, guestPort: 1, hostPort: 2))
        #expect(try guest.receive(patience: 5) == nil, "a reset is not answered")
    }

    @Test func `Data that is not in the packet resets the connection`() throws {
        let host = try accept()
        defer { close(host) }
        try guest.send(Packet(operation: Guest.data, guestPort: 1000, hostPort: 80), length: 0x8000)
        #expect(try guest.receive()?.operation == Guest.reset)
        #expect(HostSocket.receive(host, 1) == [])
    }

    @Test func `Refusals that nobody takes hold back the guest's packets`() throws {
        for _ in 0..<5000 {
            guard try guest.transmitRing.usedIndex == guest.transmitRing.availableIndex else { break }
            try guest.send(Packet(operation: Guest.data, guestPort: 1, hostPort: 2))
        }
        #expect(guest.transmitRing.availableIndex < 5000)
        #expect(try guest.receive()?.operation == Guest.reset)
        #expect(try guest.transmitRing.usedIndex == guest.transmitRing.availableIndex, "room lets them go on")
    }

    @Test func `A reset ends every connection and clients can come again`() throws {
        let (client, _) = try connect()
        guest.device.reset()
        #expect(HostSocket.receive(client, 1) == [])
        close(client)
        #expect(guest.device.connectionCount == 0)
    }
}
