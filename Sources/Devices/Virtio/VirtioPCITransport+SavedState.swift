public import MachineState
internal import PCI
internal import Synchronization

extension VirtioPCITransport: Saveable {
    /// What the device's type is called (Virtio 1.3 §5).
    public var stateName: String {
        switch core.device.deviceID {
        case 1: "virtio-net"
        case 2: "virtio-blk"
        case 3: "virtio-console"
        case 4: "virtio-rng"
        case 5: "virtio-balloon"
        case 19: "virtio-vsock"
        case 26: "virtio-fs"
        default: "virtio device \(core.device.deviceID)"
        }
    }
    /// The device's own version is written behind.
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        guard let device = core.device as? any Saveable else {
            throw .cannotSave("a \(stateName) device cannot be saved yet")
        }
        if let draining = device as? any DrainingDevice, !draining.drain() {
            throw .cannotSave("requests wait for the host's disk: see to it first")
        }
        configuration.save(into: &encoder)
        interrupts.save(into: &encoder)
        core.save(into: &encoder)
        encoder.encode(device.stateVersion)
        try device.save(into: &encoder)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        guard let device = core.device as? any Saveable else { throw .unknown }
        try configuration.load(from: &decoder)
        try interrupts.load(from: &decoder)
        let setup = try core.loadRegisters(from: &decoder)
        let version = try decoder.decode(UInt16.self, "device's version")
        guard version == device.stateVersion else {
            throw .badVersion(found: version, expected: device.stateVersion)
        }
        try device.load(from: &decoder)
        try core.takeUp(setup)
    }
}

extension VirtioPCITransport: Pausable {
    public func pause() {
        core.pause()
        (core.device as? any Pausable)?.pause()
        // What waits for the host's disk goes on waiting, and is not saved.
        _ = (core.device as? any DrainingDevice)?.drain()
    }

    public func resume() {
        (core.device as? any Pausable)?.resume()
        core.resume()
    }
}

extension VirtioPCIInterrupts {
    func save(into encoder: inout StateEncoder) {
        let now = state.withLock { $0 }
        encoder.encode(now.isr)
        encoder.encode(now.configurationVector)
        for vector in now.queueVectors { encoder.encode(vector) }
    }

    /// The level of the pin was loaded with the configuration.
    func load(from decoder: inout StateDecoder) throws(StateFault) {
        let isr = try decoder.decode(mask: UInt8(3), "ISR status")
        let configurationVector = valid(try decoder.decode(UInt16.self, "configuration vector"))
        var vectors: [UInt16] = []
        for queue in 0..<state.withLock({ $0.queueVectors.count }) {
            vectors.append(valid(try decoder.decode(UInt16.self, "vector of queue \(queue)")))
        }
        let queueVectors = vectors
        state.withLock {
            $0 = State(isr: isr, configurationVector: configurationVector, queueVectors: queueVectors)
        }
    }
}
