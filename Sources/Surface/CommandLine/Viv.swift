public import ArgumentParser

/// The `viv` command.
public struct Viv: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "viv",
        abstract: "Run Linux workloads behind the isolation you pick.",
        version: "0.1.0"
    )

    public init() {}
}
