public import MachineState
internal import SharedFolder
internal import Virtio

// What a guest has open of the host's files is not the machine's alone: a folder is saved while no guest has it mounted.
extension VirtioFS: Saveable {
    public var stateName: String { "virtio-fs" }
    public var stateVersion: UInt16 { 1 }

    public func save(into encoder: inout StateEncoder) throws(StateFault) {
        guard !folder.isMounted else {
            throw .cannotSave("the guest has the shared folder mounted: unmount it there first")
        }
        encoder.encode(config.bytes)
    }

    public func load(from decoder: inout StateDecoder) throws(StateFault) {
        let saved = try decoder.decodeBytes(limit: 64, "tag")
        guard saved == config.bytes else {
            throw .differs(field: "tag", saved: Self.tag(saved), here: Self.tag(config.bytes))
        }
    }

    private static func tag(_ bytes: [UInt8]) -> String {
        "'\(String(decoding: bytes.prefix(tagLimit).prefix { $0 != 0 }, as: UTF8.self))'"
    }
}
