// swift-tools-version:6.2
import PackageDescription

// What every target shares. Imports only point down: Base, Machine, Devices, Platform, Surface.
let common: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]
// Every target but the software engines, whose state is one raw block by design.
let safe: [SwiftSetting] = common + [.strictMemorySafety()]
// The engines' hot state is never a class field, so dynamic exclusivity checks would only cost time.
let engine: [SwiftSetting] = common + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

func layer(
    _ folder: String,
    _ name: String,
    _ dependencies: [Target.Dependency] = [],
    _ settings: [SwiftSetting] = safe
)
    -> Target
{ .target(name: name, dependencies: dependencies, path: "Sources/\(folder)/\(name)", swiftSettings: settings) }

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: [.byName(name: name)] + dependencies,
        path: "Tests/\(name)Tests",
        swiftSettings: common
    )
}

let package = Package(
    name: "vivarium",
    products: [.executable(name: "viv", targets: ["viv"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        // Base
        .target(name: "CLinux", path: "Sources/Base/CLinux"),
        .target(name: "CHostProbe", path: "Sources/Base/CHostProbe"),
        .target(name: "CNativeRun", path: "Sources/Base/CNativeRun"),
        .target(name: "CTranslator", path: "Sources/Base/CTranslator"),
        .systemLibrary(name: "CSlirp", path: "Sources/Base/CSlirp", providers: [.apt(["libslirp-dev"])]),
        .systemLibrary(name: "CURing", path: "Sources/Base/CURing", providers: [.apt(["liburing-dev"])]),
        .systemLibrary(name: "CJansson", path: "Sources/Base/CJansson", providers: [.apt(["libjansson-dev"])]),
        .systemLibrary(name: "CSeccomp", path: "Sources/Base/CSeccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CZlib", path: "Sources/Base/CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", path: "Sources/Base/CZstd", providers: [.apt(["libzstd-dev"])]),
        layer("Base", "SystemCalls", ["CLinux"]),
        layer("Base", "ByteCoding"),
        layer("Base", "MachineState", ["SystemCalls"]),
        layer("Base", "Telemetry"),
        layer("Base", "JSON", ["CJansson"]),
        // Machine
        layer("Machine", "GuestMemory", ["CLinux", "MachineState", "SystemCalls"]),
        layer("Machine", "X86", [], engine),
        layer("Machine", "X86Decoder", ["X86"], engine),
        layer("Machine", "Engine", ["GuestMemory", "MachineState", "SystemCalls", "Telemetry"]),
        layer("Machine", "HostCode", ["SystemCalls", "X86"], engine),
        layer(
            "Machine",
            "X86Interpreter",
            ["CLinux", "Engine", "GuestMemory", "HostCode", "MachineState", "SystemCalls", "X86", "X86Decoder"],
            engine + [.unsafeFlags(["-Xllvm", "-min-jump-table-entries=1000"], .when(configuration: .release))]
        ),
        layer(
            "Machine",
            "X86Translator",
            [
                "CLinux", "CTranslator", "Engine", "GuestMemory", "HostCode", "MachineState", "SystemCalls",
                "Telemetry",
                "X86", "X86Decoder", "X86Interpreter",
            ],
            engine
        ),
        // Devices
        layer("Devices", "DeviceModel", ["GuestMemory", "SystemCalls"]),
        layer("Devices", "InterruptControllers", ["DeviceModel", "Engine", "GuestMemory", "MachineState"]),
        layer("Devices", "LegacyDevices", ["DeviceModel", "GuestMemory", "MachineState"]),
        layer("Devices", "PCI", ["DeviceModel", "GuestMemory", "MachineState"]),
        layer("Devices", "Virtio", ["DeviceModel", "GuestMemory", "MachineState", "PCI"]),
        layer(
            "Devices",
            "VirtioBlock",
            ["CURing", "DeviceModel", "DiskImage", "GuestMemory", "MachineState", "SystemCalls", "Virtio"]
        ),
        layer("Devices", "VirtioConsole", ["DeviceModel", "GuestMemory", "MachineState", "Virtio"]),
        layer("Devices", "VirtioEntropy", ["DeviceModel", "GuestMemory", "MachineState", "SystemCalls", "Virtio"]),
        layer("Devices", "VirtioNet", ["DeviceModel", "GuestMemory", "MachineState", "NetworkFrames", "Virtio"]),
        layer("Devices", "NetworkFrames", ["DeviceModel"]),
        layer("Devices", "VirtioVsock", ["DeviceModel", "GuestMemory", "MachineState", "SystemCalls", "Virtio"]),
        layer("Devices", "VirtioBalloon", ["DeviceModel", "GuestMemory", "MachineState", "SystemCalls", "Virtio"]),
        layer("Devices", "SharedFolder", ["CLinux", "SystemCalls"]),
        layer("Devices", "VirtioFS", ["DeviceModel", "GuestMemory", "MachineState", "SharedFolder", "Virtio"]),
        layer("Devices", "DiskImage", ["CLinux", "CZlib", "CZstd", "SystemCalls"]),
        // Platform
        layer("Platform", "Boot", ["ByteCoding", "GuestMemory", "SystemCalls", "X86"]),
        layer("Platform", "Networking", ["CLinux", "CSlirp", "NetworkFrames", "SystemCalls"]),
        layer(
            "Platform",
            "VirtualMachine",
            [
                "Boot", "DeviceModel", "DiskImage", "Engine", "GuestMemory", "InterruptControllers", "LegacyDevices",
                "MachineState",
                "NetworkFrames", "Networking", "PCI", "SharedFolder", "SystemCalls", "Telemetry", "Virtio",
                "VirtioBalloon",
                "VirtioBlock", "VirtioConsole", "VirtioEntropy", "VirtioFS", "VirtioNet", "VirtioVsock", "X86",
                "X86Interpreter", "X86Translator",
            ]
        ),
        layer("Platform", "OCIRuntime", ["CLinux", "CSeccomp", "JSON", "SystemCalls"]),
        // Surface
        layer(
            "Surface",
            "CommandLine",
            [
                "Boot", "DiskImage", "Engine", "GuestMemory", "MachineState", "Networking", "SystemCalls", "Telemetry",
                "VirtioBlock", "VirtualMachine", "X86", "X86Decoder", "X86Translator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),
        .executableTarget(
            name: "viv",
            dependencies: ["CommandLine", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Sources/Surface/viv",
            swiftSettings: safe,
            // Short commands would spend a third of their time on loading and binding the language's own libraries.
            linkerSettings: [
                .unsafeFlags(
                    ["-static-stdlib", "-lFoundationEssentials", "-l_FoundationCollections", "-l_FoundationCShims"],
                    .when(configuration: .release)
                )
            ]
        ),
        .executableTarget(
            name: "vivfuzz",
            dependencies: [
                "Boot", "CLinux", "DeviceModel", "DiskImage", "Engine", "GuestMemory", "MachineState", "NetworkFrames",
                "Networking", "SharedFolder", "SystemCalls", "Telemetry", "TestSupport", "Virtio", "VirtioBalloon",
                "VirtioFS", "VirtioNet", "VirtioVsock", "VirtualMachine", "X86", "X86Decoder", "X86Interpreter",
                "X86Translator",
            ],
            path: "Fuzz",
            swiftSettings: engine
        ),
        layer(
            "Surface",
            "TestSupport",
            [
                "CNativeRun", "Engine", "GuestMemory", "HostCode", "SystemCalls", "X86", "X86Decoder", "X86Interpreter",
                "X86Translator",
            ],
            engine
        ),
        // Tests
        tests("SystemCalls"),
        tests("ByteCoding"),
        tests("MachineState"),
        tests("Telemetry"),
        tests("GuestMemory", ["SystemCalls"]),
        tests("X86"),
        tests("X86Decoder", ["CHostProbe", "HostCode", "SystemCalls", "TestSupport", "X86"]),
        tests("Engine", ["GuestMemory"]),
        tests("HostCode", ["TestSupport", "X86"]),
        tests(
            "X86Interpreter",
            ["Engine", "GuestMemory", "HostCode", "MachineState", "TestSupport", "X86", "X86Decoder"]
        ),
        tests(
            "X86Translator",
            ["Engine", "GuestMemory", "HostCode", "Telemetry", "TestSupport", "X86", "X86Interpreter"]
        ),
        tests("DeviceModel", ["GuestMemory"]),
        tests("InterruptControllers", ["DeviceModel", "Engine", "GuestMemory", "MachineState"]),
        tests("LegacyDevices", ["DeviceModel", "GuestMemory", "MachineState"]),
        tests("PCI", ["DeviceModel", "GuestMemory", "MachineState"]),
        tests("Virtio", ["DeviceModel", "GuestMemory", "MachineState", "PCI"]),
        tests("VirtioBlock", ["DeviceModel", "DiskImage", "GuestMemory", "MachineState", "SystemCalls", "Virtio"]),
        tests("VirtioConsole", ["DeviceModel", "GuestMemory", "MachineState", "Virtio"]),
        tests("VirtioEntropy", ["DeviceModel", "GuestMemory", "Virtio"]),
        tests("NetworkFrames"),
        tests("VirtioNet", ["DeviceModel", "GuestMemory", "NetworkFrames", "Virtio"]),
        tests("Networking", ["NetworkFrames"]),
        tests("VirtioVsock", ["DeviceModel", "GuestMemory", "SystemCalls", "Virtio"]),
        tests("VirtioBalloon", ["DeviceModel", "GuestMemory", "SystemCalls", "Virtio"]),
        tests("SharedFolder", ["CLinux", "SystemCalls"]),
        tests("VirtioFS", ["CLinux", "DeviceModel", "GuestMemory", "SharedFolder", "Virtio"]),
        tests("OCIRuntime", ["JSON", "SystemCalls"]),
        tests("DiskImage", ["SystemCalls"]),
        tests("Boot", ["GuestMemory", "X86"]),
        tests(
            "VirtualMachine",
            ["Boot", "DeviceModel", "Engine", "GuestMemory", "MachineState", "SystemCalls", "Telemetry", "X86"]
        ),
        tests(
            "CommandLine",
            [
                "DiskImage",
                "Engine", "VirtualMachine", "X86", "X86Translator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]
        ),
    ]
)
