internal import DeviceModel
internal import DiskImage
internal import VirtioBlock

/// The disks of a machine: open for as long as it lives, resets included.
struct DiskSet: Sendable {
    private let configurations: [DiskConfiguration]
    private let images: [any DiskImage]
    private let failures: DiskFailurePolicy
    private let queueCount: Int

    /// The most queues that a disk has without being asked for.
    private static let usualQueueLimit = 4

    /// `observer`: Called by each disk when a failure begins to hold the guest (true) and when nothing holds it any more (false).
    init(
        _ configuration: MachineConfiguration,
        observer: @escaping @Sendable (Bool) -> Void = { _ in }
    ) throws(MachineError) {
        configurations = configuration.disks
        queueCount = min(configuration.processorCount, Self.usualQueueLimit)
        failures = DiskFailurePolicy(configuration.diskFailures) { event in
            StandardError().write(Array("viv: \(Self.line(event))\n".utf8))
            switch event {
            case .held(_, let pausesGuest): if pausesGuest { observer(true) }
            case .released: observer(false)
            case .reported, .abandoned: break
            }
        }
        var images: [any DiskImage] = []
        for disk in configurations {
            do throws(DiskImageError) { images.append(try disk.open()) } catch { throw .disk(error) }
        }
        self.images = images
    }

    /// The devices for one power cycle.
    func makeDevices(timers: any TimerService) -> [VirtioBlock] {
        zip(configurations, images).enumerated().map { index, disk in
            VirtioBlock(
                disk.1,
                VirtioBlockConfiguration(
                    name: "disk \(disk.0.path)",
                    identifier: disk.0.serial ?? "disk\(index)",
                    queueCount: disk.0.queueCount ?? queueCount,
                    limit: BlockRateLimit(
                        bytesPerSecond: disk.0.bytesPerSecond,
                        requestsPerSecond: disk.0.requestsPerSecond
                    ),
                    failures: failures
                ),
                timers: timers
            )
        }
    }

    /// Keeps what the guest wrote and did not flush, if that can be.
    func flush() {
        for (disk, image) in zip(configurations, images) {
            do throws(DiskImageError) { try image.flush() } catch {
                StandardError().write(Array("viv: disk \(disk.path): the last writes may be lost: \(error)\n".utf8))
            }
        }
    }

    private static func line(_ event: DiskFailurePolicy.Event) -> String {
        switch event {
        case .held(let failure, let pausesGuest):
            let who = pausesGuest ? "the guest is held" : "its requests are held"
            let remedy = failure.isFull ? "make room on its file system" : "see to the host's disk"
            return "\(failure); \(who), nothing is lost: \(remedy), it is tried again every second"
        case .released(let disk): return "\(disk): works again, the guest goes on"
        case .reported(let failure): return "\(failure); the guest is told of an I/O error"
        case .abandoned(let disk, let count): return "\(disk): \(count) requests that were held are given up"
        }
    }
}
