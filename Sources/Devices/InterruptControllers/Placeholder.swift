// InterruptControllers
