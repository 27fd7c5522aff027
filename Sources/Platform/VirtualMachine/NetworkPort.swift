internal import NetworkFrames
internal import Networking
internal import VirtioNet

/// A network port of a machine as the host keeps it: open for as long as the machine lives, resets included.
struct NetworkPort: Sendable {
    let configuration: VirtioNetConfiguration
    let backend: any NetworkBackend
    let observer: (any FrameObserver)?

    /// The address of the first port of a network that only this machine is on; the next ones follow.
    private static let firstAddress: UInt64 = 0x5254_0012_3456

    /// The ports of a machine, without those that are connected to nothing.
    static func open(
        _ configurations: [NetworkConfiguration],
        capturePath: String?
    ) throws(MachineError) -> [NetworkPort] {
        do throws(NetworkError) {
            let capture: PacketCapture? = if let capturePath { try PacketCapture(path: capturePath) } else { nil }
            var ports: [NetworkPort] = []
            for configuration in configurations where configuration.kind != .none {
                ports.append(try NetworkPort(configuration, index: ports.count, capture: capture))
            }
            return ports
        } catch {
            throw .network(error)
        }
    }

    private init(
        _ configuration: NetworkConfiguration,
        index: Int,
        capture: PacketCapture?
    ) throws(NetworkError) {
        var address: MACAddress
        switch configuration.kind {
        case .none, .user(_): address = MACAddress(Self.firstAddress &+ UInt64(index))
        // Others are on the network: an address that nobody else has, as far as chance goes.
        case .tap(_), .lan(_): address = MACAddress(0x5254_0000_0000 | UInt64.random(in: 0..<1 << 24))
        }
        if let chosen = configuration.address { address = chosen }
        switch configuration.kind {
        case .none: backend = Unconnected()
        case .user(let user): backend = try UserNetwork(user, mtu: configuration.mtu)
        case .tap(let name): backend = try TapNetwork(name: name)
        case .lan(let name): backend = try LANNetwork(name: name)
        }
        var observers: [any FrameObserver] = []
        if let capture { observers.append(capture) }
        if let path = configuration.capturePath { observers.append(try PacketCapture(path: path)) }
        observer = observers.count > 1 ? FrameObservers(observers) : observers.first
        self.configuration = VirtioNetConfiguration(
            address: address,
            queuePairCount: configuration.queuePairCount,
            mtu: configuration.mtu,
            transmitLimit: configuration.transmitLimit,
            receiveLimit: configuration.receiveLimit
        )
    }
}

/// A network with nobody on it.
private final class Unconnected: NetworkBackend {
    let offloads = Offloads.all
    func attach(_ receiver: (any FrameReceiver)?) {}
    func transmit(_ frames: [Frame]) {}
    func resume() {}
}
