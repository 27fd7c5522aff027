internal import CContainer
internal import Glibc

/// Programs of the host's that the runtime runs itself.
enum Program {
    /// Runs `path` to its end, with `input` on its standard input.
    ///
    /// `timeout`: Seconds, 0 for no limit.
    static func run(
        _ path: String,
        _ arguments: [String],
        name: String? = nil,
        environment: [String]? = nil,
        input: String = "",
        timeout: UInt64 = 0
    ) throws(ContainerError) {
        let step = Step.hook(
            path: path,
            arguments: [name ?? path] + arguments,
            environment: environment ?? Environment.all,
            input: input,
            timeout: timeout
        )
        let arena = StepArena()
        var encoded = unsafe step.encoded(in: arena)
        let result = unsafe ccontainer_run_hook(&encoded)
        _ = arena
        guard result == 0 else { throw .step(step, errno: -result) }
    }
}

/// The environment of this process.
enum Environment {
    static var all: [String] {
        var all: [String] = []
        var entry = unsafe environ
        while let text = unsafe entry.pointee {
            unsafe all.append(String(cString: text))
            unsafe entry += 1
        }
        return all
    }

    static func value(_ name: String) -> String? {
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }
}
