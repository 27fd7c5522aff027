internal import Glibc

/// Runs one body on several threads and waits for them.
enum WorkerThreads {
    /// Processors that this process may use.
    static var processorCount: Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// The calling thread is one of the `count`.
    static func run(count: Int, _ body: @escaping @Sendable () -> Void) {
        var threads: [pthread_t] = []
        for _ in 1..<max(1, count) {
            let work = unsafe Unmanaged.passRetained(Work(body))
            var thread = pthread_t()
            let result = unsafe pthread_create(
                &thread,
                nil,
                { argument in
                    if let argument = unsafe argument {
                        unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                    }
                    return nil
                },
                unsafe work.toOpaque()
            )
            if result == 0 { threads.append(thread) } else { unsafe work.release() }
        }
        body()
        for thread in threads { pthread_join(thread, nil) }
    }
}
