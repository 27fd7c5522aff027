internal import GuestMemory
internal import MachineState
internal import Synchronization

extension VirtioTransportCore {
    /// What a saved device needs to be active again.
    struct SavedActivation {
        let isActive: Bool
        /// For each queue, how far both sides had come.
        let progress: [VirtioQueue.Progress]
    }

    func save(into encoder: inout StateEncoder) {
        let (now, queues) = registers.withLock { ($0, $0.active) }
        encoder.encode(now.status)
        encoder.encode(now.deviceFeatureSelect)
        encoder.encode(now.driverFeatureSelect)
        encoder.encode(now.driverFeatures.rawValue)
        encoder.encode(now.queueSelect)
        encoder.encode(now.generation)
        encoder.encode(UInt8(now.queues.count))
        for (index, queue) in now.queues.enumerated() {
            encoder.encode(queue.size)
            encoder.encode(queue.isEnabled)
            encoder.encode(queue.descriptors)
            encoder.encode(queue.available)
            encoder.encode(queue.used)
            let progress = queues.indices.contains(index) ? queues[index]?.saved : nil
            let kept = UInt16(truncatingIfNeeded: device.keptChainCount(ofQueue: index))
            encoder.encode((progress?.taken ?? 0) &- (progress == nil ? 0 : kept))
            encoder.encode(progress?.used ?? 0)
            encoder.encode(progress?.told ?? 0)
        }
    }

    /// Takes over the registers; ``takeUp(_:)`` follows once the device has its own state.
    func loadRegisters(from decoder: inout StateDecoder) throws(StateFault) -> SavedActivation {
        var new = Registers(queues: [])
        new.status = try decoder.decode(UInt8.self, "device status")
        new.deviceFeatureSelect = try decoder.decode(UInt32.self, "device feature select")
        new.driverFeatureSelect = try decoder.decode(UInt32.self, "driver feature select")
        new.driverFeatures = VirtioFeatures(rawValue: try decoder.decode(UInt64.self, "driver features"))
        new.queueSelect = try decoder.decode(UInt16.self, "queue select")
        new.generation = try decoder.decode(UInt8.self, "configuration generation")
        let status = new.status
        if status & Status.featuresOK != 0 {
            let bits = String(new.driverFeatures.rawValue, radix: 16)
            let here = "0x" + String(offered.rawValue, radix: 16)
            guard offered.isSuperset(of: new.driverFeatures), new.driverFeatures.contains(.version1) else {
                throw .differs(field: "features", saved: "0x" + bits, here: here)
            }
        } else if status & Status.driverOK != 0 {
            throw .badValue(field: "device status", value: "0x" + String(status, radix: 16))
        }
        try decoder.expect(UInt8(queueSizes.count), "number of queues")
        var progress: [VirtioQueue.Progress] = []
        for (index, limit) in queueSizes.enumerated() {
            var queue = QueueSetup(size: try decoder.decode(UInt16.self, "size of queue \(index)"))
            queue.isEnabled = try decoder.decode(Bool.self, "queue \(index) is enabled")
            queue.descriptors = try decoder.decode(UInt64.self, "descriptors of queue \(index)")
            queue.available = try decoder.decode(UInt64.self, "available ring of queue \(index)")
            queue.used = try decoder.decode(UInt64.self, "used ring of queue \(index)")
            guard queue.size <= limit else {
                throw .badValue(field: "size of queue \(index)", value: "\(queue.size)")
            }
            new.queues.append(queue)
            progress.append(
                VirtioQueue.Progress(
                    taken: try decoder.decode(UInt16.self, "chains taken from queue \(index)"),
                    used: try decoder.decode(UInt16.self, "chains used of queue \(index)"),
                    told: try decoder.decode(UInt16.self, "chains told of queue \(index)")
                )
            )
        }
        let loaded = new
        registers.withLock { $0 = loaded }
        return SavedActivation(
            isActive: status & Status.driverOK != 0 && status & Status.needsReset == 0,
            progress: progress
        )
    }

    /// Activates the device as its driver had done, with its worker standing still until ``resume()``.
    func takeUp(_ saved: SavedActivation) throws(StateFault) {
        guard saved.isActive else { return }
        let hasStarted: Bool
        do throws(VirtioQueueError) {
            hasStarted = try activate(with: saved.progress, isPaused: true)
        } catch {
            throw .badValue(field: "queues", value: "as they are: \(error)")
        }
        guard hasStarted else { throw .cannotSave("the host has no thread for its worker") }
    }

    /// Lets the worker finish what it is at, and begin nothing.
    func pause() { lifecycle.withLock { $0?.pause() } }
    func resume() { lifecycle.withLock { $0?.resume() } }
}
