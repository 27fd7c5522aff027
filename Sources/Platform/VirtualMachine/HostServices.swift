internal import SharedFolder
internal import SystemCalls
internal import Virtio
internal import VirtioBalloon
internal import VirtioFS
internal import VirtioVsock

/// The host's side of a guest's services: opened once, and kept over resets of the machine.
final class HostServices {
    private let configuration: ServiceConfiguration
    private let listener: VsockListener?
    private let folders: [SharedFolder]

    /// Opens what `configuration` names.
    init(_ configuration: ServiceConfiguration) throws(MachineError) {
        self.configuration = configuration
        var folders: [SharedFolder] = []
        let limit = configuration.folders.isEmpty ? 0 : SharedFolder.processLimit / configuration.folders.count
        for folder in configuration.folders {
            do throws(SystemCallError) {
                folders.append(
                    try SharedFolder(path: folder.path, isReadOnly: folder.isReadOnly, descriptorLimit: limit)
                )
            } catch {
                throw .cannotOpen(path: folder.path, cause: error)
            }
        }
        self.folders = folders
        if let socket = configuration.socket {
            do throws(SystemCallError) {
                listener = VsockListener(
                    owning: try UnixSocket.listen(at: socket.path, backlog: 128),
                    path: socket.path
                )
            } catch {
                throw .cannotOpen(path: socket.path, cause: error)
            }
        } else {
            listener = nil
        }
    }

    /// The devices for one power cycle.
    func makeDevices() -> [any VirtioDevice] {
        var devices: [any VirtioDevice] = []
        if let listener, let socket = configuration.socket {
            devices.append(VirtioVsock(guestCID: socket.guestCID, listener: listener))
        }
        if let balloon = configuration.balloon { devices.append(VirtioBalloon(targetByteCount: balloon.byteCount)) }
        for (folder, setup) in zip(folders, configuration.folders) {
            devices.append(VirtioFS(folder, tag: setup.tag))
        }
        return devices
    }
}
